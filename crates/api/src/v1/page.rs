//! Lists, page by page. A cursor names the last row of the page before, so that what is added meanwhile shifts nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// There is more: send this as `cursor`. Not there: this is the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<String>,
}

/// How many at most: 1 to 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "i64")]
#[schema(value_type = i64, minimum = 1, maximum = 200, default = 50)]
pub(crate) struct Limit(i64);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<i64> for Limit {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if (1..=200).contains(&number) { Ok(Self(number)) } else { Err("give a number from 1 to 200") }
    }
}

impl Limit {
    /// One more than asked for: it tells whether there is another page.
    pub fn and_one(self) -> i64 {
        self.0 + 1
    }
}

impl<T> Page<T> {
    /// All there is.
    pub fn all(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// A page from up to [`Limit::and_one`] rows. `place` is where a row stands in its list.
    pub fn of<R, P: Serialize>(
        list: &str,
        limit: Limit,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> P,
        show: impl FnMut(R) -> T,
    ) -> Self {
        let most = usize::try_from(limit.0).unwrap_or(usize::MAX);
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|last| write(list, &place(last)));
        Self { items: rows.into_iter().map(show).collect(), next }
    }
}

/// What of a list in memory stands behind the cursor, up to [`Limit::and_one`].
pub(crate) fn behind<R, P: Ord + DeserializeOwned>(
    list: &str,
    limit: Limit,
    cursor: Option<&str>,
    rows: impl IntoIterator<Item = R>,
    place: impl Fn(&R) -> P,
) -> Result<Vec<R>, Problem> {
    let after: Option<P> = read(list, cursor)?;
    let most = usize::try_from(limit.and_one()).unwrap_or(usize::MAX);
    let rows = rows.into_iter().filter(|row| after.as_ref().is_none_or(|after| place(row) > *after));
    Ok(rows.take(most).collect())
}

fn write(list: &str, place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(list, place)).unwrap_or_default())
}

/// Where a cursor of `list` points to.
pub(crate) fn read<P: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<P>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let place = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        // Ours need no escapes; without any, no control character comes through.
        .filter(|bytes| !bytes.contains(&b'\\'))
        .and_then(|bytes| serde_json::from_slice::<(String, P)>(&bytes).ok())
        .filter(|(of, _)| of == list);
    match place {
        Some((_, place)) => Ok(Some(place)),
        None => Err(Problem::at("cursor", "is not a cursor of this list; begin again without one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(limit: i64) -> Vec<Vec<u32>> {
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let limit = Limit(limit);
            let rows = behind("numbers", limit, cursor.as_deref(), 0..5_u32, |row| *row).expect("a page");
            let page = Page::of("numbers", limit, rows, |row| *row, |row| row);
            pages.push(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn pages_hold_everything_once() {
        assert_eq!(pages(2), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(pages(5), [vec![0, 1, 2, 3, 4]]);
        assert_eq!(pages(4), [vec![0, 1, 2, 3], vec![4]]);
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = write("numbers", &7);
        assert_eq!(read::<u32>("numbers", Some(&cursor)).expect("a place"), Some(7));
        for (list, cursor) in
            [("others", cursor.as_str()), ("numbers", ""), ("numbers", "%"), ("numbers", "AAAA")]
        {
            assert!(read::<u32>(list, Some(cursor)).is_err(), "{list} {cursor}");
        }
        assert!(read::<String>("l", Some(&write("l", &"a\u{0}b"))).is_err());
    }
}
