//! skep's own files of figures: JSON with a version, a program a line so that
//! differences between two files are read easily.

use super::{Error, Figures};
use serde::Deserialize;

/// What the file says it is.
const FORMAT: &str = "skep-baseline";
/// Rises when a key is taken away or changes its meaning.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct File {
    format: String,
    version: u32,
    programs: Vec<Figures>,
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Vec<Figures>, Error> {
    let file: File = serde_json::from_str(text).map_err(|error| Error {
        line: u32::try_from(error.line()).unwrap_or(0),
        reason: format!("it is not a baseline of skep's: {error}"),
    })?;
    if file.format != FORMAT || file.version != VERSION {
        let reason = format!("it is {} of version {}", file.format, file.version);
        return Err(Error { line: 0, reason: format!("{reason}, where {FORMAT} 1 is expected") });
    }
    Ok(file.programs)
}

/// Writes a file.
pub fn write(figures: &[Figures]) -> String {
    let line = |figures: &Figures| {
        // Plain structs of strings and numbers always serialise.
        format!("    {}", serde_json::to_string(figures).unwrap_or_default())
    };
    let lines: Vec<String> = figures.iter().map(line).collect();
    format!(
        "{{\n  \"format\": \"{FORMAT}\",\n  \"version\": {VERSION},\n  \"skep\": \"{}\",\n  \
         \"programs\": [\n{}\n  ]\n}}\n",
        env!("CARGO_PKG_VERSION"),
        lines.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_back_as_they_went() {
        let figures = [
            Figures {
                object: "a \"b\".bpf.o".into(),
                program: "p".into(),
                kernel: Some("debian/trixie".into()),
                accepted: true,
                verdict: "accepted".into(),
                instructions: Some(7),
                ..Figures::default()
            },
            Figures::default(),
        ];
        let text = write(&figures);
        assert_eq!(read(&text).as_deref(), Ok(&figures[..]));
        assert_eq!(read(&write(&[])), Ok(Vec::new()));
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        assert!(read(&newer).unwrap_err().reason.contains("version 2"));
        assert!(read("{").unwrap_err().line > 0);
    }
}
