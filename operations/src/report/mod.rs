//! What is wrong with the files an operator wrote, and where: problems, collected from every file, then shown.

mod excerpt;
mod render;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

pub use excerpt::SourceText;

/// A part of a file: bytes, counted after a byte order mark.
pub type Span = Range<usize>;

/// Whether a problem keeps a definition from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// One problem, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The part of the file, or `None` if it is the file itself.
    pub span: Option<Span>,
    /// Whether the definition can be used nevertheless.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What was expected there, or what that part is.
    pub label: String,
    /// What to do next.
    pub help: Option<String>,
    /// Other parts of the same file that belong to the problem, each with what it is.
    pub related: Vec<(Span, String)>,
}

impl Problem {
    /// An error at a part of a file. The file is filled in by who collects the problems of that file.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            file: PathBuf::new(),
            span: Some(span),
            severity: Severity::Error,
            message: message.into(),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// An error of a file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), span: None, ..Self::at(0..0, message) }
    }

    /// With what was expected there.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With what to do next, if there is something.
    #[must_use]
    pub fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// With another part of the same file.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// As a warning: the definition can be used.
    #[must_use]
    pub const fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

/// A problem as it is printed with `--json`. Lines and columns count from 1, columns in characters.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    file: String,
    line: usize,
    column: usize,
    severity: Severity,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Place<'a>>,
}

/// Another part of the same file.
#[derive(Debug, Serialize)]
struct Place<'a> {
    line: usize,
    column: usize,
    label: &'a str,
}

/// All problems of all files, in the order of files and places, and the text of the files that have some.
#[derive(Clone, Default)]
pub struct Report {
    problems: Vec<Problem>,
    texts: BTreeMap<PathBuf, Arc<SourceText>>,
}

impl Report {
    /// Adds the problems of one file, and its text, from which they are shown.
    pub fn add(&mut self, file: &Path, text: Option<&str>, mut problems: Vec<Problem>) {
        if problems.is_empty() {
            return;
        }
        if let Some(text) = text {
            let _ =
                self.texts.entry(file.to_owned()).or_insert_with(|| Arc::new(SourceText::new(file, text)));
        }
        problems.sort_by_key(|p| p.span.as_ref().map(|s| (s.start, s.end)));
        // What an alias repeats is reported once.
        problems.dedup_by(|a, b| a.span == b.span && a.message == b.message);
        for problem in &mut problems {
            file.clone_into(&mut problem.file);
        }
        self.problems.append(&mut problems);
    }

    /// The problems, file by file in the order in which the files were given.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether there is nothing to report, not even a warning.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems keep a definition from being used.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }

    /// The part of this report that is about these files.
    #[must_use]
    pub fn about(&self, wanted: impl Fn(&Path) -> bool) -> Self {
        let problems: Vec<_> = self.problems.iter().filter(|p| wanted(&p.file)).cloned().collect();
        let texts = self.texts.iter().filter(|(file, _)| wanted(file));
        Self { problems, texts: texts.map(|(file, text)| (file.clone(), Arc::clone(text))).collect() }
    }

    /// The same, with the files named relative to a directory, where they are in it.
    #[must_use]
    pub fn relative_to(mut self, directory: &Path) -> Self {
        let relative = |file: &Path| file.strip_prefix(directory).unwrap_or(file).to_owned();
        for problem in &mut self.problems {
            problem.file = relative(&problem.file);
        }
        let texts = self.texts.iter().map(|(file, text)| {
            let file = relative(file);
            let text = text.named(&file);
            (file, Arc::new(text))
        });
        self.texts = texts.collect();
        self
    }

    /// Line and column, from 1, the column in characters, at which a problem is; 1 and 1 for a file as a whole.
    pub fn position(&self, problem: &Problem) -> (usize, usize) {
        problem.span.as_ref().map_or((1, 1), |span| self.place(&problem.file, span))
    }

    fn place(&self, file: &Path, span: &Span) -> (usize, usize) {
        self.texts.get(file).map_or((1, 1), |text| text.position(span.start))
    }

    /// The problems as text for a terminal of 80 columns, each with the line it is in; at most `most` of them, and
    /// how many more there are.
    pub fn render(&self, most: usize, colour: bool) -> String {
        render::render(self, most, colour)
    }

    /// The problems as a JSON array of `{file, line, column, severity, message, label, help, related}`.
    pub fn to_json(&self) -> serde_json::Value {
        let entries = self.problems.iter().map(|p| {
            let (line, column) = self.position(p);
            let related = p.related.iter().map(|(span, label)| {
                let (line, column) = self.place(&p.file, span);
                Place { line, column, label }
            });
            Entry {
                file: p.file.display().to_string(),
                line,
                column,
                severity: p.severity,
                message: &p.message,
                label: &p.label,
                help: p.help.as_deref(),
                related: related.collect(),
            }
        });
        // Structs of strings and numbers always serialise.
        entries.map(|entry| serde_json::to_value(entry).unwrap_or_default()).collect()
    }
}

impl fmt::Display for Report {
    /// The first 20 problems, without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(20, false))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Report {}

/// Text from a file, fit to be quoted in a message: without control characters, and not without end.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut result: String = text.chars().take(LONGEST).flat_map(printable).collect();
    if text.chars().count() > LONGEST {
        result.push_str("...");
    }
    result
}

fn printable(c: char) -> Vec<char> {
    if excerpt::is_dangerous(c) { c.escape_default().collect() } else { vec![c] }
}
