//! File formats, as data. One is known by its extension: that is what people see, and what vendors' lists name.
//!
//! Source of the lists: the seed page, "Supported File Formats".

/// What a kind of file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Text documents.
    Document,
    /// Spreadsheets.
    Spreadsheet,
    /// Presentations.
    Presentation,
    /// Pictures.
    Image,
    /// Archives. They are never unpacked here.
    Archive,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Web pages. They are never shown as such here.
    Web,
}

/// One file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Lower case, without the dot.
    pub extension: &'static str,
    /// The media type that such a file gets.
    pub mime: &'static str,
    /// What it is for.
    pub category: Category,
}

const fn format(extension: &'static str, mime: &'static str, category: Category) -> Format {
    Format { extension, mime, category }
}

/// Every format that is known.
pub const FORMATS: &[Format] = &[
    format("pdf", "application/pdf", Category::Document),
    format("doc", "application/msword", Category::Document),
    format(
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Category::Document,
    ),
    format("txt", "text/plain", Category::Document),
    format("xml", "application/xml", Category::Document),
    format("xls", "application/vnd.ms-excel", Category::Spreadsheet),
    format(
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Category::Spreadsheet,
    ),
    format("csv", "text/csv", Category::Spreadsheet),
    format("ppt", "application/vnd.ms-powerpoint", Category::Presentation),
    format(
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Category::Presentation,
    ),
    format("jpg", "image/jpeg", Category::Image),
    format("jpeg", "image/jpeg", Category::Image),
    format("png", "image/png", Category::Image),
    format("gif", "image/gif", Category::Image),
    format("bmp", "image/bmp", Category::Image),
    format("tif", "image/tiff", Category::Image),
    format("zip", "application/zip", Category::Archive),
    format("rar", "application/vnd.rar", Category::Archive),
    format("mp3", "audio/mpeg", Category::Audio),
    format("wav", "audio/wav", Category::Audio),
    format("mp4", "video/mp4", Category::Video),
    format("avi", "video/x-msvideo", Category::Video),
    format("htm", "text/html", Category::Web),
    format("html", "text/html", Category::Web),
];

/// All of them: what an app takes unless it says otherwise.
pub const ALL: &[&str] = &[
    "pdf", "doc", "docx", "txt", "xml", "xls", "xlsx", "csv", "ppt", "pptx", "jpg", "jpeg", "png", "gif",
    "bmp", "tif", "zip", "rar", "mp3", "wav", "mp4", "avi", "htm", "html",
];

/// What ServiceNow takes.
pub const SERVICENOW: &[&str] = &[
    "pdf", "doc", "docx", "txt", "xml", "xls", "xlsx", "csv", "ppt", "pptx", "jpg", "jpeg", "png", "gif",
    "zip", "rar", "mp3", "wav", "mp4", "avi", "htm", "html",
];

/// What Genesys takes.
pub const GENESYS: &[&str] = &[
    "pdf", "doc", "docx", "txt", "xls", "xlsx", "csv", "ppt", "pptx", "jpg", "jpeg", "png", "gif", "bmp",
    "tif", "zip", "htm", "html",
];

/// The format with this extension: lower case, without the dot.
pub fn find(extension: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.extension == extension)
}

/// A name's extension, in lower case. None: it has none.
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
}

/// What the field's wires call a file of this name: `image`, `audio`, `video`, or `attachment` for anything else.
pub fn wire_kind(name: &str) -> &'static str {
    let format = extension(name).and_then(|extension| find(&extension));
    match format.map(|format| format.category) {
        Some(Category::Image) => "image",
        Some(Category::Audio) => "audio",
        Some(Category::Video) => "video",
        Some(
            Category::Document
            | Category::Spreadsheet
            | Category::Presentation
            | Category::Archive
            | Category::Web,
        )
        | None => "attachment",
    }
}

/// Formats for people: `.pdf, .doc, .docx`.
pub fn list<S: AsRef<str>>(extensions: &[S]) -> String {
    let dotted: Vec<String> = extensions.iter().map(|extension| format!(".{}", extension.as_ref())).collect();
    dotted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_names_formats_that_are_known() {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.extension).collect();
        assert_eq!(known, ALL);
        for list in [SERVICENOW, GENESYS] {
            assert!(list.iter().all(|extension| find(extension).is_some()));
        }
    }

    #[test]
    fn the_lists_differ_as_the_seed_page_says() {
        let only = |a: &[&'static str], b: &[&str]| -> Vec<&'static str> {
            a.iter().filter(|extension| !b.contains(extension)).copied().collect()
        };
        assert_eq!(only(SERVICENOW, GENESYS), ["xml", "rar", "mp3", "wav", "mp4", "avi"]);
        assert_eq!(only(GENESYS, SERVICENOW), ["bmp", "tif"]);
    }

    #[test]
    fn an_extension_is_what_follows_the_last_dot() {
        assert_eq!(extension("a.tar.GZ").as_deref(), Some("gz"));
        assert_eq!(extension(".profile"), None);
        assert_eq!(extension("a."), None);
        assert_eq!(list(&["pdf", "doc"]), ".pdf, .doc");
    }
}
