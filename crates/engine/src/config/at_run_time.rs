//! What a script sets of an agent system for one hand-over, laid over the settings in force.
//!
//! Connectors say which settings those are. One that leads elsewhere (another host) takes the integration's own secrets away:
//! a place that a script names sees no others than those that the script brings.

use std::sync::Arc;

use interline_connector::agent::{AtRunTime, Connector};
use interline_connector::{AgentSystem, Http};
use interline_core::{AppId, IntegrationName};
use serde_json::{Map, Value};

use super::Apps;
use super::build::{connector, env, find_addresses};
use super::document::{Integration, discreet};
use super::mask::secrets_of;
use crate::apps::Runtime;

impl Apps {
    /// The agent system as `script` wants it.
    ///
    /// # Errors
    /// Why that cannot be, without any value of the script.
    pub(crate) fn agent_at_run_time(
        &self,
        runtime: &Runtime,
        name: &IntegrationName,
        script: &Map<String, Value>,
    ) -> Result<Arc<dyn AgentSystem>, String> {
        let (Some(draft), Some((http, public_url))) = (&runtime.configured, self.site()) else {
            return Err("this process serves no documents".into());
        };
        let retired = || draft.retired.get(name).map(|retired| &retired.integration);
        let base =
            draft.document.agents.get(name).or_else(retired).ok_or("the integration no longer exists")?;
        let kind = connector(&base.kind).ok_or("the integration no longer exists")?;
        let Laid { settings, elsewhere } = lay(kind, base, script)?;
        check_addresses(script, http)?;
        let id = AppId::from(draft.document.app.id.as_str());
        let mut env = env(&draft.document, http, public_url, self.store().seal(), &id, name);
        if elsewhere {
            Arc::make_mut(&mut env.credentials).clear();
        }
        kind.build(Value::Object(settings), env)
            .map_err(|why| format!("the script's settings: {}", discreet(&why)))
    }
}

/// Settings with those of a script.
#[derive(Debug)]
struct Laid {
    settings: Map<String, Value>,
    /// They lead to another host.
    elsewhere: bool,
}

fn lay(kind: &dyn Connector, base: &Integration, script: &Map<String, Value>) -> Result<Laid, String> {
    let known = kind.at_run_time();
    let mut given = Vec::new();
    for (name, value) in script {
        let Some(setting) = known.iter().find(|setting| is_called(setting, name)) else {
            let name: String = name.chars().take(64).collect();
            let known: Vec<&str> = known.iter().map(|setting| setting.name).collect();
            return Err(format!("a script cannot set `{name}` of this agent system, but {known:?}"));
        };
        given.push((setting, value));
    }
    let differs = |(setting, value): &(&AtRunTime, &Value)| base.settings.get(setting.name) != Some(*value);
    let elsewhere = given.iter().filter(|given| given.0.leads_elsewhere).any(differs);
    let mut settings = base.settings.clone();
    if elsewhere {
        secrets_of(kind.settings_schema(), &base.settings)
            .iter()
            .for_each(|field| _ = settings.remove(field));
    }
    settings.extend(given.into_iter().map(|(setting, value)| (setting.name.to_owned(), value.clone())));
    Ok(Laid { settings, elsewhere })
}

/// As it stands in a document, or as JavaScript is mostly written: `organization_id`, `organizationId`.
fn is_called(setting: &AtRunTime, name: &str) -> bool {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    setting.name == name || plain(setting.name) == plain(name)
}

/// Private addresses are for the operator's file alone.
fn check_addresses(script: &Map<String, Value>, http: &Http) -> Result<(), String> {
    let mut addresses = Vec::new();
    script.iter().for_each(|(field, value)| find_addresses(field, value, &mut addresses));
    let forbidden = |(field, url): &(String, _)| http.guard().check(url).err().map(|_| field.clone());
    match addresses.iter().find_map(forbidden) {
        Some(field) => Err(format!("the script's settings: {field}: the address may not be reached")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use interline_connector::agent::Env;
    use interline_connector::{Manifest, Secret};
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    struct Vendor;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Settings {
        url: String,
        org_id: String,
        login: Login,
        token: Option<Secret>,
        poll_ms: u64,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Login {
        user: String,
        password: Secret,
    }

    impl Connector for Vendor {
        fn manifest(&self) -> &'static Manifest {
            unreachable!("not asked for")
        }

        fn settings_schema(&self) -> Value {
            schemars::schema_for!(Settings).to_value()
        }

        fn build(&self, _: Value, _: Env) -> Result<Arc<dyn AgentSystem>, String> {
            Err("not built".into())
        }

        fn at_run_time(&self) -> &'static [AtRunTime] {
            const AT: &[AtRunTime] = &[
                AtRunTime { name: "url", leads_elsewhere: true },
                AtRunTime { name: "org_id", leads_elsewhere: false },
                AtRunTime { name: "login", leads_elsewhere: false },
            ];
            AT
        }
    }

    fn laid(script: Value) -> Result<Laid, String> {
        let base = json!({ "type": "vendor", "url": "https://a.test", "org_id": "1", "poll_ms": 5,
            "login": { "user": "u", "password": "p" }, "token": "t" });
        let base: Integration = serde_json::from_value(base).expect("an integration");
        lay(&Vendor, &base, script.as_object().expect("fields"))
    }

    #[test]
    fn a_script_lays_its_settings_over_those_in_force() {
        for name in ["org_id", "orgId", "OrgID"] {
            let Laid { settings, elsewhere } = laid(json!({ name: "2" })).expect("laid");
            assert!(!elsewhere);
            assert_eq!((&settings["org_id"], &settings["token"]), (&json!("2"), &json!("t")));
            assert_eq!(settings["login"]["password"], "p");
        }
    }

    #[test]
    fn another_host_sees_no_secret_but_those_that_the_script_brings() {
        let elsewhere = laid(json!({ "url": "https://b.test" })).expect("laid");
        assert!(elsewhere.elsewhere);
        assert_eq!(
            Value::Object(elsewhere.settings),
            json!({ "url": "https://b.test", "org_id": "1", "poll_ms": 5 })
        );
        let own = json!({ "user": "v", "password": "q" });
        let brought = laid(json!({ "url": "https://b.test", "login": own })).expect("laid");
        assert_eq!((&brought.settings["login"], brought.settings.get("token")), (&own, None));
        // The same host is no other one.
        let same = laid(json!({ "url": "https://a.test", "org_id": "2" })).expect("laid");
        assert_eq!((same.elsewhere, &same.settings["token"]), (false, &json!("t")));
    }

    #[test]
    fn what_a_script_may_not_set_is_refused_by_name() {
        for name in ["poll_ms", "liveAgentUrl", "type"] {
            let why = laid(json!({ name: "hunter2" })).expect_err(name);
            assert!(why.contains(name) && !why.contains("hunter2"), "{why}");
        }
    }
}
