//! Problems as text for a terminal.

use std::fmt::{self, Write as _};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

use super::{Problem, Report, Severity, SourceText};

/// The width of the terminal that is written for.
const COLUMNS: usize = 80;

/// A problem with its text, as miette wants it.
struct Shown<'a> {
    problem: &'a Problem,
    text: Option<&'a SourceText>,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.problem.span.is_some(), self.text) {
            (true, Some(_)) => f.write_str(&self.problem.message),
            _ => write!(f, "{}: {}", self.problem.file.display(), self.problem.message),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.map(|text| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (text, span) = (self.text?, self.problem.span.as_ref()?);
        let label = Some(self.problem.label.clone()).filter(|label| !label.is_empty());
        let first = LabeledSpan::new_primary_with_span(label, text.visible(span));
        let others = self.problem.related.iter();
        let others =
            others.map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), text.visible(span)));
        Some(Box::new(std::iter::once(first).chain(others)))
    }
}

pub(super) fn render(report: &Report, most: usize, colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(COLUMNS)
        .with_context_lines(0)
        .with_break_words(false)
        .with_links(false);
    let mut out = String::new();
    for problem in report.problems.iter().take(most) {
        let text = report.texts.get(&problem.file).map(|text| &**text);
        // Writing to a string does not fail.
        let _ = handler.render_report(&mut out, &Shown { problem, text });
        out.push('\n');
    }
    let more = report.problems.len().saturating_sub(most);
    if more > 0 {
        let _ = writeln!(out, "and {more} more problem{}", if more == 1 { "" } else { "s" });
    }
    out
}
