//! What `skep run` keeps of what programs say: a record that grows while they
//! run, and a page that is drawn when they have ended.

use super::CommandResult;
use crate::shell::Shell;
use skep::base::fs::{self, Growing, Pending};
use skep::diagnostics::{Diagnostic, Failure, Origin, Span, codes};
use skep::ops::run::{Happening, Told};
use skep::report::page::Page;
use skep::report::record::{self, Head};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is written at once, in bytes.
const AT_ONCE: usize = 256 << 10;

/// Where everything goes that is kept.
pub struct Keeper<'k> {
    subject: String,
    /// When each kernel had its first word.
    began: Vec<Option<Instant>>,
    record: Option<Growing>,
    /// What is not in the record yet.
    text: String,
    has_head: bool,
    page: Option<(Page, Pending<'k>, &'k Path)>,
    /// Why the record is not whole.
    failed: Option<fs::Error>,
}

impl<'k> Keeper<'k> {
    /// Begins the files. A page takes its place when it is whole.
    pub fn new(
        subject: &str,
        record: Option<&Path>,
        page: Option<&'k Path>,
    ) -> Result<Self, fs::Error> {
        let page = match page {
            Some(path) => Some((Page::new(subject), Pending::new(path)?, path)),
            None => None,
        };
        Ok(Self {
            subject: subject.to_owned(),
            began: Vec::new(),
            record: record.map(Growing::create).transpose()?,
            text: String::new(),
            has_head: false,
            page,
            failed: None,
        })
    }

    /// Keeps what happened just now.
    pub fn hear(&mut self, told: &Told<'_>) {
        // There may be a million of them in a second.
        if self.record.is_some() || self.page.is_some() {
            self.began.resize(self.began.len().max(told.side + 1), None);
            let began = self.began[told.side].get_or_insert_with(Instant::now);
            let at = began.elapsed();
            self.hear_at(told, at);
        }
    }

    /// Keeps what happened `at` so much after the beginning.
    pub fn hear_at(&mut self, told: &Told<'_>, at: Duration) {
        if let Some((page, ..)) = &mut self.page {
            page.add(told, at);
        }
        if self.record.is_none() {
            return;
        }
        if !self.has_head {
            self.has_head = true;
            let head = Head { subject: self.subject.clone(), kernels: told.kernels.to_vec() };
            self.text = record::head(&head);
        }
        record::line(told, at, &mut self.text);
        let is_over = matches!(told.happening, Happening::Pause | Happening::Over(_));
        if is_over || self.text.len() >= AT_ONCE {
            self.write();
        }
    }

    fn write(&mut self) {
        if let (Some(record), false) = (&mut self.record, self.text.is_empty())
            && let Err(error) = record.add(self.text.as_bytes())
        {
            // What comes now would stand behind a gap.
            self.record = None;
            self.failed = Some(error);
        }
        self.text.clear();
    }

    /// Whether the record could not be written.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Writes the page, if anything has happened.
    pub fn finish(mut self, shell: &Shell) -> CommandResult {
        self.write();
        if let Some((page, mut file, path)) = self.page
            && !page.is_empty()
        {
            file.write(page.html().as_bytes())?;
            file.finish()?;
            shell.status("Drew", &path.display().to_string());
        }
        match self.failed {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// Shows what a record tells, or draws it.
pub fn replay(file: &Path, page: Option<&Path>, shell: &Shell) -> CommandResult {
    let text = fs::read_to_string(file)?;
    let record = record::read(&text).map_err(|wrong| -> Failure {
        let at = Span::line(file, wrong.line);
        Diagnostic::new(codes::NO_RECORD, Origin::Command, wrong.message).at(at).into()
    })?;
    if record.is_cut {
        shell.status("Noted", "the record was cut off: its last line is not whole");
    }
    let mut keeper = Keeper::new(&record.head.subject, None, page)?;
    let kernels = &record.head.kernels;
    for (at, side, happening) in &record.happenings {
        let told = Told { kernels, side: *side, happening };
        match page {
            Some(_) => keeper.hear_at(&told, *at),
            None => shell.happening(&told),
        }
    }
    for side in 0..kernels.len() {
        for happening in [Happening::Over(None), Happening::Pause] {
            shell.happening(&Told { kernels, side, happening: &happening });
        }
    }
    keeper.finish(shell)
}
