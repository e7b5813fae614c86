//! What everybody has in the end, as the judges want it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use interline_tests::botkit::Sighting;
use interline_tests::checker::{Seen, Story};
use interline_tests::file_checker::{Fetched, FileStory, Place, Told};
use interline_tests::files::{self, Attached};
use interline_tests::operator::Operator;
use interline_tests::shelf::Brought;
use interline_tests::web::Past;
use serde_json::Value;

use crate::customer::Customer;
use crate::desk::{Agent, Desk, fetch};
use crate::{ms, number, words};

/// So many of an agent's files each customer downloads: links are limited to a hundred calls a second.
const DOWNLOADS: usize = 8;

/// The lines alone.
pub async fn stories(
    customers: &[Customer],
    agents: &BTreeMap<usize, Agent>,
    desk: &Desk,
    begin: Instant,
) -> Result<Vec<Story>> {
    let mut at_botkit: BTreeMap<usize, Vec<Seen>> = BTreeMap::new();
    for seen in desk.seen.lock().unwrap().iter().filter(|seen| seen.agent_mode) {
        let (at, text) = (ms(seen.at.duration_since(begin)), words(&seen.text));
        let no = number(&text).with_context(|| format!("BotKit saw `{text}`, which nobody said"))?;
        at_botkit.entry(no).or_default().push(Seen { at, request_id: seen.request_id.clone(), text });
    }
    let mut stories = Vec::new();
    for customer in customers {
        let history = customer.site.history(&customer.token).await?;
        let drawn = customer.drawn.lock().unwrap().iter().map(|(drawn, _)| drawn.clone()).collect();
        stories.push(Story {
            name: format!("conversation {}", customer.no),
            user: customer.lines.clone(),
            agent: agents[&customer.no].lines.clone(),
            seen: at_botkit.remove(&customer.no).unwrap_or_default(),
            drawn,
            history: history.into_iter().map(|past| Past { text: words(&past.text), ..past }).collect(),
        });
    }
    Ok(stories)
}

/// A conversation as the operator sees it: its lines with their files, and what the operator's download gave of these.
pub type Log = (Vec<Place>, Vec<Told>);

pub async fn logs(operator: &mut Operator, kept_in: PathBuf) -> Result<BTreeMap<usize, Log>> {
    let (mut logs, mut named) = (BTreeMap::new(), 0);
    for conversation in operator.list("/conversations?limit=100").await? {
        let id = conversation["id"].as_str().context("a conversation without id")?.to_owned();
        let entries = operator.list(&format!("/conversations/{id}/timeline?limit=100")).await?;
        let entries: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "text").collect();
        let mut told: BTreeMap<String, Told> = BTreeMap::new();
        let mut places = Vec::new();
        for entry in &entries {
            let mut files = Vec::new();
            for file in entry["files"].as_array().into_iter().flatten() {
                let known = file["id"].as_str().context("a file without id")?.to_owned();
                if !told.contains_key(&known) {
                    told.insert(known.clone(), kept(operator, file).await?);
                }
                files.push(told[&known].clone());
            }
            let words = words(entry["text"].as_str().unwrap_or_default());
            places.push(Place { at: "the log".into(), words, files });
        }
        let listed = operator.list(&format!("/conversations/{id}/files")).await?;
        let listed: BTreeSet<String> =
            listed.iter().filter_map(|file| file["id"].as_str().map(str::to_owned)).collect();
        ensure!(
            listed == told.keys().cloned().collect(),
            "{id}: its list of files is not what its entries name"
        );
        named += told.len();
        let no =
            places.iter().find_map(|place| number(&place.words).filter(|_| place.words.starts_with('u')));
        logs.insert(
            no.context("a conversation in which nobody spoke")?,
            (places, told.into_values().collect()),
        );
    }
    let on_disk = std::fs::read_dir(kept_in)?.map(|app| Ok(std::fs::read_dir(app?.path())?.count()));
    let on_disk: usize = on_disk.sum::<std::io::Result<usize>>()?;
    ensure!(on_disk >= named, "{named} files are named, {on_disk} are on disk");
    println!("{named} files are named, {on_disk} are on disk");
    Ok(logs)
}

/// What the operator gets of a file. The log's own word of it is checked on the way.
async fn kept(operator: &mut Operator, file: &Value) -> Result<Told> {
    let text =
        |name: &str| file[name].as_str().map(str::to_owned).with_context(|| format!("a file without {name}"));
    let (id, name, sha256) = (text("id")?, text("name")?, text("sha256")?);
    let answer = operator.call("GET", &format!("/files/{id}/content")).await?;
    let fetched = match answer.status {
        200 if files::sha256(&answer.body) != sha256 => Fetched::Failed(format!("the log says {sha256}")),
        200 => Fetched::got(&answer.body),
        status => Fetched::Failed(format!("{status} {}", answer.text())),
    };
    Ok(Told { id, name, size: file["size"].as_u64().context("a file without size")?, fetched })
}

/// The files.
pub async fn file_stories(
    customers: &[Customer],
    agents: &BTreeMap<usize, Agent>,
    desk: &Desk,
    fetched: &HashMap<String, Fetched>,
    mut logs: BTreeMap<usize, Log>,
) -> Result<Vec<FileStory>> {
    let seen = desk.seen.lock().unwrap().clone();
    let mut stories = Vec::new();
    for customer in customers {
        let (mut places, logged) = logs.remove(&customer.no).context("a conversation is not listed")?;
        let theirs = |seen: &&Sighting| seen.agent_mode && number(&words(&seen.text)) == Some(customer.no);
        places.extend(seen.iter().filter(theirs).map(|seen| Place {
            at: "BotKit".into(),
            words: words(&seen.text),
            files: seen.files.iter().map(|file| brought(file, fetched)).collect(),
        }));
        places.extend(customer.drawn.lock().unwrap().iter().map(|(drawn, files)| Place {
            at: format!("socket {}", drawn.socket),
            words: drawn.text.clone(),
            files: files.iter().map(unread).collect(),
        }));
        let mut downloads = 0;
        for past in customer.site.history(&customer.token).await? {
            let mut files: Vec<Told> = past.files.iter().map(unread).collect();
            for (told, file) in files.iter_mut().zip(&past.files) {
                if past.incoming || downloads >= DOWNLOADS {
                    break;
                }
                downloads += 1;
                let path = format!("{}/download", files::path_of(&file.url));
                told.fetched = fetch(customer.site.address, &path).await;
            }
            places.push(Place { at: "the history".into(), words: words(&past.text), files });
        }
        let mut said = customer.said.clone();
        said.extend(agents[&customer.no].said.clone());
        let stored = customer.stored.clone();
        stories.push(FileStory {
            name: format!("conversation {}", customer.no),
            said,
            places,
            stored,
            logged,
        });
    }
    Ok(stories)
}

fn brought(file: &Brought, fetched: &HashMap<String, Fetched>) -> Told {
    let fetched = fetched.get(&file.download_url).cloned().unwrap_or(Fetched::Failed("not tried".into()));
    Told { id: file.file_id.clone(), name: file.file_name.clone(), size: file.bytes, fetched }
}

fn unread(file: &Attached) -> Told {
    Told { id: file.id.clone(), name: file.name.clone(), size: file.bytes, fetched: Fetched::NotTried }
}
