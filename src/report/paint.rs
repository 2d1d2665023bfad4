//! Colours, as terminals number them; no others, so that a user's palette
//! decides what they look like.

/// What a piece of text is; its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// An error's header.
    Error,
    /// A warning's header.
    Warning,
    /// A note's header.
    Note,
    /// A way out; what an edit adds.
    Help,
    /// What an edit removes.
    Removed,
    /// Something is well.
    Good,
    /// Something is not.
    Bad,
    /// Something asks for a look.
    Caution,
    /// What leads the eye.
    Strong,
    /// What may be passed over.
    Faint,
}

impl Paint {
    /// The parameters of the terminal's SGR sequence (ECMA-48, 8.3.117).
    fn parameters(self) -> &'static str {
        match self {
            Self::Error | Self::Bad => "1;31",
            Self::Warning | Self::Caution => "1;33",
            Self::Note => "1;36",
            Self::Help | Self::Good => "1;32",
            Self::Removed => "31",
            Self::Strong => "1",
            Self::Faint => "2",
        }
    }

    /// The text in its colour, or as it is.
    pub fn on(self, text: &str, color: bool) -> String {
        if color && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", self.parameters())
        } else {
            text.to_owned()
        }
    }
}
