//! A YAML file as a tree of texts, lists and maps, of bounded size: a workflow file may be anybody's.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser};

/// Workflows are a few levels deep.
const DEEPEST: usize = 60;

/// A part of a file. What an alias stands for is shared and not copied, so that no file becomes larger than it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Text(String),
    List(Vec<Rc<Node>>),
    Map(Vec<(String, Rc<Node>)>),
}

impl Node {
    /// The first document of a file, or why it can't be read, in one sentence.
    pub fn parse(text: &str) -> Result<Rc<Self>, String> {
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| error.to_string())?;
            builder.take(event).map_err(|why| format!("line {}: {why}", span.start.line()))?;
            if let Some(root) = builder.root.take() {
                return Ok(root);
            }
        }
        Err("it is empty".to_owned())
    }

    /// What a map has under that name.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| &**node)
    }

    pub fn entries(&self) -> &[(String, Rc<Self>)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }

    pub fn items(&self) -> &[Rc<Self>] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// One word, a list of words, or the names of a map: as GitHub takes `on` and `runs-on`.
    pub fn words(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(items) => items.iter().filter_map(|item| item.text()).collect(),
            Self::Map(entries) => entries.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }
}

/// What is open, from the outside in.
#[derive(Default)]
struct Builder {
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

enum Open {
    List(Vec<Rc<Node>>),
    Map(Vec<(String, Rc<Node>)>, Option<String>),
}

impl Builder {
    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Scalar(text, _, anchor, _) => self.add(Node::Text(text.into_owned()).into(), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or("an alias of what isn't complete")?;
                self.add(node, 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(Open::Map(Vec::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err(format!("more than {DEEPEST} levels"));
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some((Open::List(items), anchor)) => self.add(Node::List(items).into(), anchor),
            Some((Open::Map(entries, _), anchor)) => self.add(Node::Map(entries).into(), anchor),
            None => Ok(()),
        }
    }

    fn add(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), String> {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(items), _)) => items.push(node),
            Some((Open::Map(entries, key @ None), _)) => {
                let name = node.text().ok_or("a name that is no text")?;
                if entries.iter().any(|(known, _)| known == name) {
                    return Err(format!("`{name}` is there twice"));
                }
                *key = Some(name.to_owned());
            }
            Some((Open::Map(entries, key), _)) => entries.extend(key.take().map(|key| (key, node))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_tree() {
        let block = Node::parse("on:\n  - push\n  - 'pull_request' # both\nrun: |\n  a: b\n").unwrap();
        let flow = Node::parse("{\"on\": &on [push, pull_request], run: \"a: b\\n\"}").unwrap();
        assert_eq!(block, flow);
        assert_eq!(block.get("on").unwrap().words(), ["push", "pull_request"]);
        assert_eq!(Node::parse("a: &x {b: c}\nd: *x").unwrap().get("d").unwrap().words(), ["b"]);
    }

    #[test]
    fn what_has_two_meanings_has_none() {
        assert_eq!(Node::parse("a: 1\nb: 2\na: 3").unwrap_err(), "line 3: `a` is there twice");
        assert!(Node::parse("a: [").is_err() && Node::parse("").is_err());
        assert!(Node::parse(&"[".repeat(100)).unwrap_err().contains("levels"));
        assert!(Node::parse(&"[".repeat(100_000)).is_err() && Node::parse(&"- ".repeat(100_000)).is_err());
    }

    /// Each level stands for ten of the one before: copied, that would be 10^30 texts.
    #[test]
    fn aliases_cost_nothing() {
        let level = |n: usize| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "));
        let text = format!("l0: &l0 [x]\n{}", (1..=30).map(level).collect::<String>());
        assert_eq!(Node::parse(&text).unwrap().get("l30").unwrap().items().len(), 10);
    }
}
