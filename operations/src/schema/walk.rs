//! The walk: a tree of values against the rules of the schema, one clear message for each thing that is wrong.

use std::cell::LazyCell;

use super::{
    patterns::Pattern,
    rules::{Rule, RuleId, Rules, Type},
};
use crate::{
    report::{Problem, Span, shown},
    yaml::{Entry, Value, View},
};

/// A name that has to be declared elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Where: `/hosts`, `/volumes`, `/libraries` of the site, `/steps` of the operation.
    pub(crate) collection: &'static str,
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// What a walk finds.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) problems: Vec<Problem>,
    pub(crate) references: Vec<Reference>,
}

/// Walks a whole file.
pub(crate) fn walk(rules: &'static Rules, root: View<'_>) -> Found {
    let mut walk = Walk { rules, found: Found::default() };
    walk.value(rules.root, root, "");
    walk.found
}

struct Walk {
    rules: &'static Rules,
    found: Found,
}

impl Walk {
    fn problem(&mut self, problem: Problem) {
        self.found.problems.push(problem);
    }

    fn value(&mut self, id: RuleId, view: View<'_>, what: &str) {
        let rules = self.rules;
        let rule = &rules[id];
        match (rule.kind, view.value()) {
            (_, Value::Invalid) | (Type::Any, _) | (Type::Bool, Value::Bool(_)) => {}
            (Type::Text, Value::Text(text)) => self.text(rule, view, text, what),
            (Type::Integer, Value::Integer(number)) => self.integer(rule, view, *number, what),
            (Type::List, Value::List(items)) => {
                self.enough(rule, view, items.len(), what);
                for item in view.items() {
                    if let Some(id) = rule.items {
                        self.value(id, item, what);
                    }
                }
            }
            (Type::Map, Value::Map(entries)) => self.map(rule, view, entries, what),
            (_, Value::Null) if view.tree().lacks_something_in(&view.span()) => {}
            _ => self.wrong_type(rule, view, what),
        }
    }

    fn enough(&mut self, rule: &Rule, view: View<'_>, have: usize, what: &str) {
        if have < rule.fewest && !view.tree().lacks_something_in(&view.span()) {
            self.problem(
                Problem::at(view.span(), format!("{} is empty", named(what))).label("expected at least one"),
            );
        }
    }

    fn text(&mut self, rule: &'static Rule, view: View<'_>, text: &str, what: &str) {
        let span = view.span();
        if text.contains('\0') {
            return self.problem(Problem::at(span, format!("{} contains a zero byte", named(what))));
        }
        self.enough(rule, view, text.len(), what);
        if !rule.choices.is_empty() && !rule.choices.iter().any(|choice| choice == text) {
            return self.bad_choice(rule, span, text, what);
        }
        if rule.choices.is_empty() && is_planned(rule, text) {
            let message = format!("{} '{}' is not built", named(what), shown(text));
            return self.problem(Problem::at(span, message).label("not built"));
        }
        if let Some(pattern) = rule.pattern.filter(|pattern| !(pattern.matches)(text)) {
            return self.bad_pattern(pattern, span, text, &named(what));
        }
        if let Some(collection) = rule.names.as_deref() {
            self.found.references.push(Reference { collection, name: text.to_owned(), span });
        }
    }

    fn bad_choice(&mut self, rule: &Rule, span: Span, text: &str, what: &str) {
        let choices = alternatives(&rule.choices);
        let problem = if is_planned(rule, text) {
            let only = if rule.choices.len() == 1 { format!(": only {choices} is") } else { String::new() };
            let message = format!("{} '{}' is not built{only}", named(what), shown(text));
            Problem::at(span, message).label("not built").help(format!("use {choices}"))
        } else {
            let near = nearest(text, rule.choices.iter().map(String::as_str));
            Problem::at(span, format!("{} cannot be '{}'", named(what), shown(text)))
                .label(format!("expected {choices}"))
                .help_if(near.map(|near| format!("did you mean '{near}'?")))
        };
        self.problem(problem);
    }

    fn bad_pattern(&mut self, pattern: &Pattern, span: Span, text: &str, what: &str) {
        let help = (pattern.matches)(text.trim()).then(|| "remove the space around it".to_owned());
        let message = if pattern.may_hold_a_secret() {
            format!("{what} cannot be this")
        } else {
            format!("{what} cannot be '{}'", shown(text))
        };
        self.problem(Problem::at(span, message).label(format!("expected {}", pattern.wanted)).help_if(help));
    }

    fn integer(&mut self, rule: &Rule, view: View<'_>, number: i64, what: &str) {
        let low = rule.minimum.is_some_and(|minimum| number < minimum);
        let high = rule.maximum.is_some_and(|maximum| number > maximum);
        if low || high {
            let message = format!("{} cannot be {number}", named(what));
            self.problem(Problem::at(view.span(), message).label(format!("expected {}", range(rule))));
        }
    }

    fn wrong_type(&mut self, rule: &Rule, view: View<'_>, what: &str) {
        let found = view.value();
        let help = match (rule.kind, found) {
            (Type::Text, Value::List(_))
                if rule.pattern.is_some_and(|p| p.wanted.contains("group,device")) =>
            {
                let parts: Option<Vec<_>> = view.items().map(View::text).collect();
                parts.map(|parts| {
                    format!("a comma separates items; in quotes it does not: \"{}\"", parts.join(","))
                })
            }
            (Type::Text, Value::Integer(_) | Value::Float(_) | Value::Bool(_)) => match rule.pattern {
                Some(_) => None,
                None => view
                    .tree()
                    .text
                    .get(view.span())
                    .filter(|_| rule.choices.is_empty())
                    .map(|written| format!("put it in quotes if text is meant: \"{written}\"")),
            },
            (Type::Map, Value::Null) if rule.required.is_empty() && rule.one_of.is_empty() => {
                Some("write {} if nothing is to be said".to_owned())
            }
            (Type::List, Value::Null) => Some("write [] for an empty list, or leave the key out".to_owned()),
            (_, Value::Null) if view.span().is_empty() => {
                Some("a value is missing after the colon; or leave the key out".to_owned())
            }
            (Type::List, Value::Text(text)) => Some(format!("a list of one is written [{}]", shown(text))),
            (Type::Bool, Value::Text(text)) if matches!(text.to_lowercase().as_str(), "yes" | "on" | "y") => {
                Some("write true".to_owned())
            }
            (Type::Bool, Value::Text(text)) if matches!(text.to_lowercase().as_str(), "no" | "off" | "n") => {
                Some("write false".to_owned())
            }
            _ => None,
        };
        let what = named(what);
        let written = view.tree().text.get(view.span()).unwrap_or_default();
        let message = match found {
            Value::Null if written.is_empty() => format!("{what} has no value"),
            Value::Null => format!("{what} cannot be nothing, which is what '{written}' means"),
            Value::Integer(_) | Value::Float(_) => format!("{what} cannot be the number {}", shown(written)),
            _ => format!("{what} cannot be {found}"),
        };
        self.problem(
            Problem::at(view.span(), message).label(format!("expected {}", wanted(rule))).help_if(help),
        );
    }

    fn map(&mut self, rule: &'static Rule, view: View<'_>, entries: &[Entry], what: &str) {
        self.enough(rule, view, entries.len(), what);
        let mut resembled = Vec::new();
        let mut split_at_comma = None;
        // Looked for once, and only if there is an unknown key.
        let absent = LazyCell::new(|| -> Vec<&str> {
            rule.properties.keys().map(String::as_str).filter(|key| view.entry(key).is_none()).collect()
        });
        for entry in entries {
            let value = view.at(entry.value);
            if let Some(id) = rule.properties.get(&entry.key) {
                if self.is_split_at_comma(*id, value, entries) {
                    split_at_comma = Some(entry.key_span.start);
                    continue;
                }
                self.value(*id, value, &entry.key);
            } else if let Some((pattern, id)) = rule.named {
                if let Some(pattern) = pattern.filter(|pattern| !(pattern.matches)(&entry.key)) {
                    self.bad_pattern(pattern, entry.key_span.clone(), &entry.key, "a name");
                }
                self.value(id, value, &entry.key);
            } else if split_at_comma.take().is_none() {
                resembled.extend(self.unknown_key(rule, entry, &absent, what));
            }
        }
        self.missing_keys(rule, view, &resembled, what);
        self.exactly_one(rule, view, entries, &resembled, what);
    }

    /// In `{ copy_group: VG01,vol01 }` the comma ends the value: `vol01` is a key without a value, right behind.
    fn is_split_at_comma(&mut self, id: RuleId, value: View<'_>, entries: &[Entry]) -> bool {
        let Some(pattern) = self.rules[id].pattern.filter(|p| p.wanted.contains("group,device")) else {
            return false;
        };
        let Some(first) = value.text().filter(|text| !(pattern.matches)(text)) else { return false };
        let next = entries.iter().find(|entry| entry.key_span.start >= value.span().end);
        let joined = next.filter(|next| *value.at(next.value).value() == Value::Null);
        let Some(joined) = joined.map(|next| (next, format!("{first},{}", next.key))) else { return false };
        let span = value.span().start..joined.0.key_span.end;
        let problem = Problem::at(span, "a comma between braces separates entries")
            .label(format!("expected {}", pattern.wanted))
            .help(format!("put it in quotes: \"{}\"", joined.1));
        self.problem(problem);
        true
    }

    /// Reports a key that does not belong there; returns the key that was probably meant.
    fn unknown_key(&mut self, rule: &Rule, entry: &Entry, absent: &[&str], what: &str) -> Option<String> {
        let near = nearest(&entry.key, absent.iter().copied()).map(str::to_owned);
        let known: Vec<String> = rule.properties.keys().cloned().collect();
        let help = match &near {
            Some(near) => format!("did you mean '{near}'?"),
            None if known.is_empty() => format!("{} has no keys: write {{}}", named(what)),
            None if rule.one_of.is_empty() => format!("{} has the keys {}", named(what), known.join(", ")),
            None => {
                format!("a step has one kind ({}) and the keys {}", rule.one_of.join(", "), other_keys(rule))
            }
        };
        let message = format!("there is no key '{}' in {}", shown(&entry.key), named(what));
        self.problem(Problem::at(entry.key_span.clone(), message).label("unknown key").help(help));
        near
    }

    fn missing_keys(&mut self, rule: &Rule, view: View<'_>, resembled: &[String], what: &str) {
        let lacks = |key: &&String| view.entry(key).is_none() && !resembled.contains(key);
        let missing: Vec<_> = rule.required.iter().filter(lacks).map(|key| format!("'{key}'")).collect();
        if missing.is_empty() || view.tree().lacks_something_in(&view.span()) {
            return;
        }
        let s = if missing.len() == 1 { "" } else { "s" };
        let message = format!("{} lacks the key{s} {}", named(what), missing.join(", "));
        self.problem(
            Problem::at(beginning(view), message).label(format!("expected {} here", missing.join(", "))),
        );
    }

    fn exactly_one(
        &mut self,
        rule: &Rule,
        view: View<'_>,
        entries: &[Entry],
        resembled: &[String],
        what: &str,
    ) {
        if rule.one_of.is_empty() {
            return;
        }
        let mut kinds = entries.iter().filter(|entry| rule.one_of.contains(&entry.key));
        match (kinds.next(), kinds.next()) {
            (Some(_), None) => {}
            (Some(first), Some(second)) => self.problem(
                Problem::at(
                    second.key_span.clone(),
                    format!("the step '{what}' has two kinds, '{}' and '{}'", first.key, second.key),
                )
                .label("second kind")
                .related(first.key_span.clone(), "first kind")
                .help("make two steps of it"),
            ),
            (None, _) => {
                let guessed = resembled.iter().any(|key| rule.one_of.contains(key));
                if !guessed && !view.tree().lacks_something_in(&view.span()) {
                    self.problem(
                        Problem::at(beginning(view), format!("the step '{what}' has no kind"))
                            .label("expected what is done here")
                            .help(format!("the kinds are {}", rule.one_of.join(", "))),
                    );
                }
            }
        }
    }
}

/// Whether a value is planned and not built.
fn is_planned(rule: &Rule, text: &str) -> bool {
    rule.not_built.iter().any(|planned| {
        planned.strip_suffix('*').map_or(planned == text, |beginning| text.starts_with(beginning))
    })
}

/// A key in a message; the file itself has none.
fn named(key: &str) -> String {
    if key.is_empty() { "the file".to_owned() } else { format!("'{}'", shown(key)) }
}

/// Where something that is missing in a map is reported: its first key, or the brace.
fn beginning(view: View<'_>) -> Span {
    view.entries().first().map_or_else(|| view.span(), |entry| entry.key_span.clone())
}

fn other_keys(rule: &Rule) -> String {
    let others = rule.properties.keys().filter(|key| !rule.one_of.contains(*key));
    others.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn alternatives(choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        [one] => format!("'{one}'"),
        [rest @ .., last] => {
            let rest: Vec<_> = rest.iter().map(|one| format!("'{one}'")).collect();
            format!("{} or '{last}'", rest.join(", "))
        }
    }
}

fn range(rule: &Rule) -> String {
    match (rule.minimum, rule.maximum) {
        (Some(low), Some(high)) => format!("a whole number from {low} to {high}"),
        (Some(low), None) => format!("a whole number from {low}"),
        _ => "a whole number".to_owned(),
    }
}

/// What a rule wants, in words.
fn wanted(rule: &Rule) -> String {
    match rule.kind {
        Type::Any => "anything".to_owned(),
        Type::Text if !rule.choices.is_empty() => alternatives(&rule.choices),
        Type::Text => rule.pattern.map_or("text", |pattern| pattern.wanted).to_owned(),
        Type::Integer => range(rule),
        Type::Bool => "true or false".to_owned(),
        Type::List => "a list".to_owned(),
        Type::Map if rule.properties.is_empty() => "a map".to_owned(),
        Type::Map if rule.one_of.is_empty() => {
            let keys: Vec<&str> = rule.properties.keys().map(String::as_str).collect();
            format!("a map with {}", keys.join(", "))
        }
        Type::Map => "a step: its kind, and the host it runs on".to_owned(),
    }
}

/// The name that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let (name, length) = (plain(name), name.len());
    let far = (name.chars().count() + 2) / 4;
    let near = known.filter(|one| one.len().abs_diff(length) <= far);
    let measured = near.map(|one| (strsim::osa_distance(&name, &plain(one)), one));
    measured.filter(|(distance, _)| *distance <= far).min().map(|(_, one)| one)
}
