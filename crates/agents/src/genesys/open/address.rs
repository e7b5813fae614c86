//! Who a customer is to Genesys: an id of their own for each hand-over, so that a second one does not join the first one's
//! conversation. It says whose it is, so no table remembers it.

use interline_core::{ConversationId, ParticipantNo};

/// The longest id that is read.
const LONGEST: usize = 80;

/// `cnv_…-2`: the conversation and its participant.
pub(super) fn of(conversation: &ConversationId, participant: ParticipantNo) -> String {
    format!("{conversation}-{participant}")
}

/// The same read. None: it is not one of ours.
pub(super) fn read(text: &str) -> Option<(ConversationId, ParticipantNo)> {
    let (conversation, no) = text.rsplit_once('-')?;
    let plain = conversation.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let no = ParticipantNo(no.parse().ok()?);
    let conversation = ConversationId::from(conversation);
    // One id, one spelling.
    let ours = text.len() <= LONGEST && text.starts_with("cnv_") && plain && of(&conversation, no) == text;
    ours.then_some((conversation, no))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let id = of(&"cnv_0192af".into(), ParticipantNo(2));
        assert_eq!(read(&id), Some(("cnv_0192af".into(), ParticipantNo(2))));
        let huge = format!("cnv_{}-1", "9".repeat(500));
        for bad in [
            "",
            "cnv_a",
            "cnv_a-",
            "cnv_a-+1",
            "cnv_a-01",
            "x_a-1",
            "cnv_ä-1",
            "cnv_a-99999999999999999999",
            &huge,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
