//! Assigns a name to each value, in any notation.

mod html;

use html::HtmlTable;

use super::{
    decode::{strip_broken_colours, strip_controls},
    findings::{Evidence, Findings, SkipReason},
    names::{
        NameClass, classify, classify_sentence, classify_words, ends_with_secret_name,
        is_credential_header, is_decisive_name, is_id_word, is_name_slot, is_value_slot,
        mentions_secret, precedes_secret,
    },
    table::{Row, Table, name_value_pair},
    tokens::{Quote, TextToken, TokenKind, tokenize},
    values::{
        self, NamedValue, is_hex_id, is_id_character, is_id_shape, is_plain_id, is_secret_shape,
        is_suspicious,
    },
};

/// The deepest text within text that is read. JSON in a string in a JSON log has depth three.
const MAX_DEPTH: usize = 8;

/// The most brackets open at once. When there are more, the outermost one is dropped.
const MAX_SCOPES: usize = 64;

/// The most values of an object kept until their name comes.
const MAX_DEFERRED: usize = 32;

/// The most words before a value that are considered.
const MAX_WORDS: usize = 6;

/// The longest name, in bytes. Anything longer is text.
const MAX_NAME: usize = 80;

/// The state between a pair of brackets.
#[derive(Debug, Default)]
struct BracketScope {
    bracket: Option<char>,
    /// The class of the name before the bracket.
    class: NameClass,
    /// The class that the `"name"` of this object gives to its `"value"`.
    slot: NameClass,
    /// Values that came before their name.
    deferred: Vec<String>,
    /// The class of the previous element if it is a name: `["taskId", "774d…"]`.
    element: NameClass,
    /// Whether the rest of the line belongs to a header with credentials.
    is_credential_header: bool,
    /// The classes of the elements, while all of them are names.
    name_list: Option<Vec<NameClass>>,
    commas: usize,
}

/// A name at the end of a line, with its values on the lines below.
#[derive(Debug, Clone, Copy)]
struct NameBlock {
    class: NameClass,
    indent: usize,
    /// Whether it has no value yet.
    is_fresh: bool,
    /// Whether the name is alone on its line, like a column header.
    is_column: bool,
}

/// The state of one line.
#[derive(Debug, Default)]
struct LineState<'a> {
    text: &'a str,
    /// The class of the next value.
    expected: Option<NameClass>,
    /// The class of the last name, for further values after a comma.
    class: NameClass,
    /// The last words that are not values.
    words: Vec<&'a str>,
    /// Whether the line has a name or a sentence, and so is not a list of ids.
    is_prose: bool,
    /// Words with the shape of an id, without a name.
    unnamed: Vec<&'a str>,
    /// Words without the shape of an id.
    others: Vec<&'a str>,
    /// The role of the next value if its field is like `"name"` or `"value"`.
    slot: Option<Slot>,
    is_quoted_name: bool,
    /// The preceding word or quoted text.
    previous: Option<&'a str>,
    /// The first word in the last bracket: `["taskId"] =>`.
    bracketed: Option<&'a str>,
    /// Whether the line is in a block or section with the name of a secret.
    is_in_secret: bool,
}

/// The position of a word and its relation to the next token.
#[derive(Debug, Clone, Copy)]
struct WordContext {
    start: usize,
    /// Whether a separator follows.
    is_name: bool,
    /// Whether the word wraps the next value, as in `UUID('…')` and `TaskId "…"`.
    is_wrapper: bool,
}

/// Quoted text that continues in the next chunk.
#[derive(Debug)]
enum OpenQuotation {
    Secret,
    Read(Box<LineReader>),
}

/// The role of a value in an object such as `{"name": "taskId", "value": "…"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Name,
    Value,
}

/// A reader of lines that share brackets, columns and blocks.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    depth: usize,
    /// The class of the name of the whole text.
    class: NameClass,
    root: BracketScope,
    scopes: Vec<BracketScope>,
    table: Option<Table>,
    /// The classes of the last list of names, for the value lists after it: `(id, task_id) VALUES
    /// (1, '…')`.
    columns: Vec<NameClass>,
    html: HtmlTable,
    block: Option<NameBlock>,
    /// Whether the current section of an INI or TOML file has the name of a secret.
    is_secret_section: bool,
    /// The end of the last line that was not blank.
    previous: String,
    /// Quoted text that the previous chunk did not end.
    open_quotation: Option<OpenQuotation>,
}

impl LineReader {
    fn nested(&self, class: NameClass) -> Self {
        Self {
            depth: self.depth + 1,
            class,
            ..Self::default()
        }
    }

    /// Reads a whole text.
    fn read(&mut self, text: &str, found: &mut Findings) {
        for line in text.split('\n') {
            self.read_line(line, true, found);
        }
        self.finish(found);
    }

    /// Reads the deferred values.
    pub(super) fn finish(&mut self, found: &mut Findings) {
        if let Some(OpenQuotation::Read(mut reader)) = self.open_quotation.take() {
            reader.finish(found);
        }
        while let Some(scope) = self.scopes.pop() {
            self.resolve(scope, found);
        }
        self.resolve_root(found);
    }

    /// Reads a line, or a chunk of a long one.
    pub(super) fn read_line(&mut self, raw: &str, is_whole: bool, found: &mut Findings) {
        if let Some(unescaped) = unescape_markup(raw).filter(|_| self.depth < MAX_DEPTH) {
            self.nested(self.class).read(&unescaped, found);
        }
        let clean = strip_broken_colours(raw);
        let Some(text) = self.continue_text(&clean, is_whole, found) else {
            return;
        };
        if text.trim().is_empty() {
            self.end_paragraph(found);
            return;
        }
        self.drop_unclosed_brackets(text, found);
        if !(self.scopes.is_empty() && self.read_row(text, found)) {
            self.read_tokens(text, is_whole, found);
        }
        self.previous = last_chars(text, MAX_NAME).to_owned();
    }

    /// Continues the quoted text of the previous chunk. Returns the text after it.
    fn continue_text<'a>(
        &mut self,
        line: &'a str,
        is_whole: bool,
        found: &mut Findings,
    ) -> Option<&'a str> {
        let Some(mut reader) = self.open_quotation.take() else {
            return Some(line);
        };
        let (content, rest) = match Quote::JSON.close(line) {
            Some((content, length)) => (content, line.get(length..)),
            None => (line, None),
        };
        reader.push(&Quote::JSON.unescape(content), found);
        if rest.is_none() && !is_whole {
            self.open_quotation = Some(reader);
        } else if let OpenQuotation::Read(mut reader) = reader {
            reader.finish(found);
        }
        rest
    }

    fn end_paragraph(&mut self, found: &mut Findings) {
        self.block = self.block.filter(|block| block.is_fresh);
        self.columns.clear();
        if self.scopes.is_empty() {
            self.table = None;
            self.resolve_root(found);
        }
    }

    /// Reads a line as a table row. Reports whether it is one.
    fn read_row(&mut self, text: &str, found: &mut Findings) -> bool {
        match self.table.as_mut().map(|table| table.row(text)) {
            Some(Row::Cells(cells)) => {
                for (class, cell) in cells {
                    let class = if self.is_secret() {
                        NameClass::Secret
                    } else {
                        class
                    };
                    self.text_value(class, &cell, text, found);
                }
                true
            }
            Some(Row::Nothing) => true,
            Some(Row::End) | None => {
                let named = name_value_pair(text);
                for (class, cell) in named.iter().flatten() {
                    self.text_value(*class, cell, text, found);
                }
                self.table = Table::from_header(text).filter(|_| named.is_none());
                named.is_some() || self.table.is_some()
            }
        }
    }

    fn read_tokens(&mut self, text: &str, is_whole: bool, found: &mut Findings) {
        let indent = text.len() - text.trim_start().len();
        let is_item = text.trim_start().starts_with("- ");
        if is_item && self.scopes.is_empty() {
            self.resolve_root(found);
        }
        self.scope().is_credential_header = false;
        let text = without_block_indicator(text);
        if let Some(section) = section_name(text).filter(|_| self.scopes.is_empty()) {
            self.is_secret_section = classify(section) == NameClass::Secret;
        }
        let tokens = tokenize(text);
        let mut line = LineState {
            text,
            is_in_secret: self.is_secret_section,
            expected: (self.class != NameClass::Neutral).then_some(self.class),
            ..LineState::default()
        };
        self.begin_block(&mut line, indent, is_item);
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            self.token(&mut line, token, next, is_whole, found);
        }
        self.end_line(&line, indent, found);
    }

    /// Closes all brackets at a line without indentation, which starts something new.
    fn drop_unclosed_brackets(&mut self, text: &str, found: &mut Findings) {
        let continues =
            |c: char| c.is_whitespace() || matches!(c, '}' | ']' | ')' | '"' | '\'' | ',' | '<');
        while !text.starts_with(continues)
            && let Some(scope) = self.scopes.pop()
        {
            self.resolve(scope, found);
        }
    }

    /// Applies the name at the end of an earlier line to the values of this one.
    fn begin_block(&mut self, line: &mut LineState<'_>, indent: usize, is_item: bool) {
        let Some(block) = self
            .block
            .as_mut()
            .filter(|_| !line.text.trim_start().starts_with('<'))
        else {
            return;
        };
        let words: Vec<_> = line.text.split_whitespace().collect();
        if is_lone_name(&words) {
            self.block = None;
            return;
        }
        let is_lone = words.len() == 1;
        let is_within = block.is_fresh
            || if block.is_column {
                is_lone
            } else {
                indent > block.indent || (is_item && indent >= block.indent)
            };
        if is_within {
            line.expected = Some(block.class);
            line.class = block.class;
            line.is_in_secret |= block.class == NameClass::Secret && indent > block.indent;
            block.is_fresh = false;
        } else {
            self.block = None;
        }
    }

    /// Saves a name at the end of the line, and classifies the words without a name.
    fn end_line(&mut self, line: &LineState<'_>, indent: usize, found: &mut Findings) {
        if self.scopes.is_empty() && !self.columns.is_empty() && self.table.is_none() {
            self.table = Some(Table::with_columns(self.columns.clone()));
        }
        let is_lone_name = line.unnamed.is_empty()
            && line.words.len() == line.others.len()
            && !line.is_prose
            && is_lone_name(&line.words);
        if is_lone_name {
            let class = classify_words(&line.words);
            self.block = Some(NameBlock {
                class,
                indent,
                is_fresh: true,
                is_column: true,
            });
            return;
        }
        self.save_trailing_name(line, indent);
        if !self.is_secret() && !line.is_prose {
            self.classify_unnamed(line, found);
        }
    }

    /// Saves a name at the end of the line for the values below.
    fn save_trailing_name(&mut self, line: &LineState<'_>, indent: usize) {
        let is_relevant = |class: &NameClass| *class != NameClass::Neutral;
        // Includes `token: >-`.
        let end = line.text.trim_end().trim_end_matches(['-', '+']);
        let ends_with_name = end.ends_with([':', '=', '：', '|', '>']);
        if let Some(class) = line
            .expected
            .filter(is_relevant)
            .filter(|_| ends_with_name && line.is_prose)
        {
            self.block = Some(NameBlock {
                class,
                indent,
                is_fresh: true,
                is_column: false,
            });
        }
    }

    /// Classifies the words of a line without names.
    fn classify_unnamed(&self, line: &LineState<'_>, found: &mut Findings) {
        if line.others.iter().all(|word| is_plain_id(word)) {
            for id in &line.unnamed {
                found.add(id, Evidence::Listed, line.text);
            }
        }
        let is_lone = line.others.len() == 1 && line.unnamed.is_empty();
        let is_list = line.text.contains(['"', '\'', ','])
            && line.others.iter().all(|word| is_plain_id(word));
        for word in &line.others {
            if is_secret_shape(word) {
                found.add_secret(word);
            } else if is_suspicious(word) {
                found.add(word, Evidence::Suspicious, line.text);
            } else if is_list || (is_lone && is_plain_id(word)) {
                found.add(word, Evidence::Listed, line.text);
            } else if is_lone
                || !line.unnamed.is_empty()
                || word.contains(|c: char| c.is_ascii_digit())
            {
                // A number in a quoted sentence is not meant as an id.
                if self.depth > 0 && !is_plain_id(word) {
                    continue;
                }
                found.reject(word);
            }
        }
    }

    fn token<'a>(
        &mut self,
        line: &mut LineState<'a>,
        token: &'a TextToken<'a>,
        next: Option<&TextToken<'_>>,
        is_whole: bool,
        found: &mut Findings,
    ) {
        let content = token.kind.content();
        self.track_name_list(content, &token.kind, found);
        line.bracketed = line.bracketed.or(content);
        match &token.kind {
            TokenKind::Word(word) => self.word(line, word, WordContext::new(token, next), found),
            TokenKind::Text {
                content,
                is_open: true,
            } if !is_whole => self.open_quotation(line, content, found),
            TokenKind::Text {
                content,
                is_open: true,
            } if line.expected == Some(NameClass::Task) && may_be_truncated(content) => {
                found.add(content, Evidence::Suspicious, line.text);
            }
            TokenKind::Text { content, .. } => self.text(line, content, next, found),
            TokenKind::Separator => self.separator(line),
            TokenKind::Open(bracket) => self.open(line, *bracket, found),
            TokenKind::Close(_) => self.close(line, next, found),
            TokenKind::Comma => {
                line.expected = None;
                line.words.clear();
                self.scope().commas += 1;
            }
            TokenKind::Break => {
                (line.expected, line.class) = (None, NameClass::Neutral);
                line.words.clear();
            }
            TokenKind::Tag(tag) => self.tag(line, tag, found),
            TokenKind::Template => {
                if line.expected.take() == Some(NameClass::Task) {
                    let template = line.text.get(token.span.clone()).unwrap_or_default();
                    found.skip(SkipReason::Placeholder, template);
                }
            }
        }
        line.previous = content;
    }

    /// Tracks a list of names only, whose classes apply to the value lists after it.
    fn track_name_list(
        &mut self,
        content: Option<&str>,
        kind: &TokenKind<'_>,
        found: &mut Findings,
    ) {
        let scope = self.scope();
        let at = scope.commas;
        if let TokenKind::Close(_) = kind {
            let is_relevant =
                |class: &NameClass| matches!(class, NameClass::Task | NameClass::Secret);
            let names = scope.name_list.take().unwrap_or_default();
            if names.len() > 1 && names.iter().any(is_relevant) {
                found.names_tasks |= names.contains(&NameClass::Task);
                self.columns = names;
            }
            return;
        }
        let is_list = *kind == TokenKind::Comma
            || content.is_some_and(|content| {
                let is_name = !content.starts_with(|c: char| !c.is_alphabetic() && c != '_')
                    && content.len() <= MAX_NAME
                    && !is_id_shape(content)
                    && !content.contains(['=', ':', '/', '"', '\'']);
                let names = scope
                    .name_list
                    .as_mut()
                    .filter(|names| is_name && names.len() == at);
                names.map(|names| names.push(classify(content))).is_some()
            });
        if !is_list {
            scope.name_list = None;
        }
    }

    fn scope(&mut self) -> &mut BracketScope {
        match self.scopes.last_mut() {
            Some(scope) => scope,
            None => &mut self.root,
        }
    }

    /// Reports whether the current text or a bracket around it belongs to a secret.
    fn is_secret(&self) -> bool {
        self.class == NameClass::Secret
            || self
                .scopes
                .iter()
                .any(|scope| scope.class == NameClass::Secret)
    }

    /// Reports whether a bracket around the current text has the name of a task.
    fn is_task(&self) -> bool {
        let is_task = |scope: &BracketScope| scope.class == NameClass::Task;
        self.scopes.iter().any(is_task)
    }

    /// Classifies the name before a separator.
    fn separator(&mut self, line: &mut LineState<'_>) {
        let words = std::mem::take(&mut line.words);
        let Some(name) = words.last() else {
            return;
        };
        let mut class = classify_words(&words);
        line.slot = if is_name_slot(name) {
            Some(Slot::Name)
        } else if class == NameClass::Neutral && is_value_slot(name) {
            Some(Slot::Value)
        } else {
            None
        };
        let is_value = line.slot == Some(Slot::Value);
        if class == NameClass::Secret && !line.is_quoted_name && is_credential_header(name) {
            self.scope().is_credential_header = true;
        }
        // A complete task name still counts, because some names only look like those of secrets.
        let is_secret = self.is_secret()
            || self.scope().is_credential_header
            || line.is_in_secret
            || (class == NameClass::Neutral && mentions_secret(&words));
        if is_secret && class != NameClass::Task {
            class = NameClass::Secret;
        } else if is_value && self.scope().slot != NameClass::Neutral {
            class = self.scope().slot;
        } else if is_value && self.is_task() {
            class = NameClass::Task;
        } else if class == NameClass::Neutral
            && is_id_word(name)
            && self.scope().class == NameClass::Foreign
        {
            // `"user": {"id": …}`.
            class = NameClass::Foreign;
        }
        line.expected = Some(class);
        line.class = class;
        line.is_prose = true;
        line.is_quoted_name = false;
    }

    fn open(&mut self, line: &mut LineState<'_>, bracket: char, found: &mut Findings) {
        if self.scopes.len() >= MAX_SCOPES {
            let oldest = self.scopes.remove(0);
            self.resolve(oldest, found);
        }
        // `variable "api_key" { default = … }`.
        let label = line
            .previous
            .filter(|label| bracket == '{' && is_decisive_name(label));
        let class = line
            .expected
            .take()
            .or_else(|| label.map(classify))
            .unwrap_or_default();
        line.bracketed = None;
        // `"value": {"stringValue": …}` beside a name.
        self.scopes.push(BracketScope {
            bracket: Some(bracket),
            name_list: matches!(bracket, '(' | '[').then(Vec::new),
            class,
            ..BracketScope::default()
        });
        line.words.clear();
        line.class = NameClass::Neutral;
        line.is_prose |= bracket == '{';
    }

    fn close(
        &mut self,
        line: &mut LineState<'_>,
        next: Option<&TextToken<'_>>,
        found: &mut Findings,
    ) {
        let scope = self.scopes.pop().unwrap_or_default();
        let (bracket, class) = (scope.bracket, scope.class);
        self.resolve(scope, found);
        (line.expected, line.class) = (None, NameClass::Neutral);
        line.words.clear();
        let Some(next) = next else { return };
        let is_wrapped = matches!(next.kind, TokenKind::Text { .. } | TokenKind::Open('('));
        if bracket == Some('[') && next.kind == TokenKind::Separator {
            // `["taskId"] =>`, `headers['Authorization'] =`.
            line.words.extend(line.bracketed);
        } else if bracket == Some('(') && class != NameClass::Neutral && is_wrapped {
            // A type before the value: `string(32) "…"`, `(string) (len=32) "…"`.
            line.expected = Some(class);
        }
    }

    /// Reads the deferred values outside all brackets.
    fn resolve_root(&mut self, found: &mut Findings) {
        let root = std::mem::take(&mut self.root);
        self.resolve(root, found);
    }

    /// Reads the deferred values of an object.
    fn resolve(&mut self, scope: BracketScope, found: &mut Findings) {
        let class = if scope.class == NameClass::Secret || self.is_secret() {
            NameClass::Secret
        } else {
            scope.slot
        };
        for content in scope.deferred {
            self.text_value(class, &content, &content, found);
        }
    }

    /// Reads a word: part of a name, a value, or a word of a sentence.
    fn word<'a>(
        &mut self,
        line: &mut LineState<'a>,
        word: &'a str,
        context: WordContext,
        found: &mut Findings,
    ) {
        let trimmed = word.trim_matches(['.', '/', '+', '@']);
        let is_value =
            is_hex_id(trimmed) || (line.expected == Some(NameClass::Task) && is_plain_id(trimmed));
        if context.is_name && !is_value {
            let name = word.rsplit('/').next().unwrap_or(word);
            line.words
                .extend(name.split('.').filter(|part| !part.is_empty()));
            return;
        }
        if !word.contains(char::is_alphanumeric) {
            return;
        }
        let is_number = trimmed.len() < 4 && trimmed.bytes().all(|b| b.is_ascii_digit());
        if is_number && line.words.is_empty() && line.expected.is_none() && self.scopes.is_empty() {
            // The number of a list item.
            return;
        }
        let element = std::mem::take(&mut self.scope().element);
        let mut class = line.expected.or_else(|| self.class_of_element(element));
        if self.html.is_in_cell && !word.contains(|c: char| c.is_ascii_digit()) {
            // The cell may be the header of another column.
            class = None;
        }
        let Some(class) = class else {
            return self.read_unnamed_word(line, word, context.start, found);
        };
        if (context.is_wrapper && class != NameClass::Neutral)
            || (class == NameClass::Secret && precedes_secret(word))
        {
            return self.name_from_key_element(line, word);
        }
        if line.expected.take().is_some() {
            self.html.next = NameClass::Neutral;
        }
        if self.take_slot_name(line, word, found)
            || (class == NameClass::Neutral
                && is_id_shape(trimmed)
                && self.try_defer(line, trimmed))
        {
            return;
        }
        match class {
            NameClass::Secret => {
                found.add_secret(word);
                self.name_from_key_element(line, word);
            }
            NameClass::Neutral if self.is_deferred_item(line, trimmed) => {
                self.scope().deferred.push(trimmed.to_owned());
            }
            NameClass::Task => add_named(values::unquoted(trimmed), word, line.text, found),
            NameClass::Foreign if is_id_shape(trimmed) => found.skip(SkipReason::Foreign, trimmed),
            NameClass::Foreign | NameClass::Neutral => {
                self.read_unnamed_word(line, word, context.start, found);
            }
        }
    }

    /// Uses the content of `<key>` as the name of the next element, as in a property list.
    fn name_from_key_element(&mut self, line: &LineState<'_>, word: &str) {
        if line.text.contains("<key>") && !is_hex_id(word) {
            self.html.next = classify(word);
        }
    }

    /// Reports whether the name of a value is below it: `- value: …` before `name: …`.
    fn is_deferred_item(&mut self, line: &mut LineState<'_>, value: &str) -> bool {
        line.slot.take() == Some(Slot::Value)
            && is_hex_id(value)
            && line.text.trim_start().starts_with("- ")
            && self.scopes.is_empty()
            && self.root.deferred.len() < MAX_DEFERRED
    }

    /// Returns the class of a list element without a name.
    fn class_of_element(&mut self, element: NameClass) -> Option<NameClass> {
        if self.is_secret() {
            return Some(NameClass::Secret);
        }
        let scope = self.scope();
        let (scope_class, at) = (scope.class, scope.commas);
        let is_row = matches!(scope.bracket, Some('(' | '['));
        let class = [element, scope_class]
            .into_iter()
            .find(|class| *class != NameClass::Neutral)
            .or_else(|| self.columns.get(at).copied().filter(|_| is_row))
            .unwrap_or_default();
        matches!(
            class,
            NameClass::Task | NameClass::Secret | NameClass::Foreign
        )
        .then_some(class)
    }

    /// Applies the value of a `"name"` field to the value beside it. Reports whether it was a name.
    fn take_slot_name(
        &mut self,
        line: &mut LineState<'_>,
        value: &str,
        found: &mut Findings,
    ) -> bool {
        if line.slot.take_if(|slot| *slot == Slot::Name).is_none()
            || is_hex_id(value)
            || is_plain_id(value)
            || value.len() > MAX_NAME
        {
            return false;
        }
        let class = classify(value);
        found.names_tasks |= class == NameClass::Task;
        let scope = self.scope();
        if class != NameClass::Neutral {
            scope.slot = class;
            let deferred = std::mem::take(&mut scope.deferred);
            for content in deferred {
                self.text_value(class, &content, &content, found);
            }
        }
        true
    }

    /// Defers the value of an object until its name comes. Reports whether it did.
    fn try_defer(&mut self, line: &mut LineState<'_>, value: &str) -> bool {
        let scope = self.scope();
        let is_deferred = line.slot.take_if(|slot| *slot == Slot::Value).is_some()
            && matches!(scope.bracket, None | Some('{'))
            && scope.deferred.len() < MAX_DEFERRED;
        if is_deferred {
            scope.deferred.push(value.to_owned());
        }
        is_deferred
    }

    /// Reads a word without a name directly before it.
    fn read_unnamed_word<'a>(
        &mut self,
        line: &mut LineState<'a>,
        word: &'a str,
        start: usize,
        found: &mut Findings,
    ) {
        let mut has_id = false;
        for (piece, is_file) in pieces(word) {
            has_id |= is_id_shape(piece);
            if is_id_shape(piece) && !is_file {
                self.read_unnamed_id(line, piece, start, found);
            }
        }
        if has_id {
            return;
        }
        let trimmed = word.trim_matches(['.', '/', '+', '@']);
        if is_plain_id(trimmed) {
            let class = classify_words(&line.words);
            if class == NameClass::Task || line.class == NameClass::Task {
                return add_named(values::unquoted(trimmed), word, line.text, found);
            }
            if class == NameClass::Secret || self.is_secret() {
                return found.add_secret(trimmed);
            }
        }
        if line.class != NameClass::Task && !precedes_secret(word) {
            line.class = NameClass::Neutral;
        }
        line.others.push(trimmed);
        if line.words.len() == MAX_WORDS {
            line.words.remove(0);
        }
        line.words.push(word);
        found.names_tasks = found.names_tasks || classify_words(&line.words) == NameClass::Task;
    }

    /// Reads a word with the shape of an id, without a name directly before it.
    fn read_unnamed_id<'a>(
        &mut self,
        line: &mut LineState<'a>,
        id: &'a str,
        start: usize,
        found: &mut Findings,
    ) {
        let class = if self.is_secret() || self.scope().is_credential_header {
            NameClass::Secret
        } else {
            match (line.class, classify_sentence(&line.words)) {
                (NameClass::Neutral, NameClass::Neutral) if self.is_task() => NameClass::Task,
                (NameClass::Neutral, class) | (_, class @ NameClass::Secret) | (class, _) => class,
            }
        };
        line.words.clear();
        if class != NameClass::Neutral {
            line.class = class;
        }
        match class {
            NameClass::Secret => found.add_secret(id),
            NameClass::Foreign => found.skip(SkipReason::Foreign, id),
            NameClass::Task => found.add(id, Evidence::Named, line.text),
            NameClass::Neutral if self.follows_secret_name(line, start) => found.add_secret(id),
            NameClass::Neutral => {
                line.unnamed.push(id);
                found.add(id, Evidence::Shape, line.text);
            }
        }
    }

    /// Reports whether the text before a value ends with the name of a secret.
    ///
    /// A second check for values without a name, because unmatched quotes may hide the name from
    /// the tokenizer.
    fn follows_secret_name(&self, line: &LineState<'_>, start: usize) -> bool {
        let before = line.text.get(..start).unwrap_or_default();
        let near = last_chars(before, MAX_NAME);
        ends_with_secret_name(near)
            || (!before.contains(char::is_alphanumeric) && ends_with_secret_name(&self.previous))
    }

    /// Reads quoted text: a name, a value, or an element of a list.
    fn text<'a>(
        &mut self,
        line: &mut LineState<'a>,
        content: &'a str,
        next: Option<&TextToken<'_>>,
        found: &mut Findings,
    ) {
        let is_name = next.is_some_and(|next| next.kind == TokenKind::Separator);
        if is_name && content.len() <= MAX_NAME && !is_hex_id(content) {
            line.words.clear();
            line.words.push(content);
            line.is_quoted_name = true;
            return;
        }
        let expected = line.expected.take();
        let is_paired = matches!(next.map(|next| &next.kind), Some(TokenKind::Text { .. }))
            || (next.is_none() && line.words.is_empty() && !line.is_prose);
        let scope = self.scope();
        let element = std::mem::take(&mut scope.element);
        found.names_tasks = found.names_tasks
            || (is_decisive_name(content) && classify(content) == NameClass::Task);
        if expected.is_none()
            && is_decisive_name(content)
            && (scope.bracket.is_some() || is_paired)
            && scope.class == NameClass::Neutral
        {
            // The name of the next element.
            scope.element = classify(content);
            return;
        }
        let class = expected
            .or_else(|| self.class_of_element(element))
            .unwrap_or_else(|| match classify_sentence(&line.words) {
                NameClass::Task if is_plain_id(content) => NameClass::Task,
                NameClass::Secret => NameClass::Secret,
                NameClass::Task | NameClass::Foreign | NameClass::Neutral
                    if is_id_shape(content) && self.is_task() =>
                {
                    NameClass::Task
                }
                NameClass::Task | NameClass::Foreign | NameClass::Neutral => NameClass::Neutral,
            });
        self.html.next = NameClass::Neutral;
        if expected.is_some() && self.take_slot_name(line, content, found) {
            return;
        }
        if expected.is_some() && class == NameClass::Neutral && self.try_defer(line, content) {
            return;
        }
        line.slot = None;
        if expected.is_none()
            && class == NameClass::Neutral
            && is_single_word(content)
            && !line.is_prose
        {
            return self.list_item(line, content, found);
        }
        self.text_value(class, content, line.text, found);
    }

    /// Reads a quoted word of a line without names.
    fn list_item<'a>(&mut self, line: &mut LineState<'a>, content: &'a str, found: &mut Findings) {
        if is_id_shape(content) {
            self.read_unnamed_id(line, content, 0, found);
        } else {
            line.others.push(content);
        }
    }

    /// Reads a text value by the class of its name.
    fn text_value(&mut self, class: NameClass, content: &str, line: &str, found: &mut Findings) {
        let is_single = is_single_word(content);
        let content = content.trim();
        // `'"33a6…"'`, `W/"33a6…"`.
        let bare = content.trim_start_matches("W/").trim_matches(['"', '\'']);
        match class {
            NameClass::Secret => found.add_secret(content),
            NameClass::Task if is_single => {
                add_named(values::quoted(content), content, line, found);
            }
            NameClass::Foreign if is_id_shape(bare) || is_plain_id(bare) => {
                found.skip(SkipReason::Foreign, bare);
            }
            NameClass::Foreign if is_single => {}
            NameClass::Neutral if is_single => {
                if is_id_shape(content) {
                    found.add(content, Evidence::Shape, line);
                }
            }
            NameClass::Task | NameClass::Foreign | NameClass::Neutral if self.depth < MAX_DEPTH => {
                let class = if class == NameClass::Task {
                    class
                } else {
                    NameClass::Neutral
                };
                self.nested(class).read(&strip_controls(content), found);
            }
            NameClass::Task | NameClass::Foreign | NameClass::Neutral => {}
        }
    }

    /// Starts quoted text that continues in the next chunk.
    fn open_quotation(&mut self, line: &mut LineState<'_>, content: &str, found: &mut Findings) {
        let class = line.expected.take().unwrap_or(line.class);
        let mut reader =
            if class == NameClass::Secret || self.is_secret() || self.depth >= MAX_DEPTH {
                OpenQuotation::Secret
            } else {
                OpenQuotation::Read(Box::new(self.nested(class)))
            };
        reader.push(content, found);
        self.open_quotation = Some(reader);
    }
}

impl WordContext {
    fn new(token: &TextToken<'_>, next: Option<&TextToken<'_>>) -> Self {
        let gap = next.map_or(0, |next| next.span.start - token.span.end);
        let is_letters =
            matches!(token.kind, TokenKind::Word(word) if word.chars().all(char::is_alphabetic));
        let kind = next.map(|next| &next.kind);
        Self {
            start: token.span.start,
            is_name: kind == Some(&TokenKind::Separator),
            is_wrapper: match kind {
                Some(TokenKind::Open(_)) => gap == 0,
                Some(TokenKind::Text { .. }) => is_letters && gap <= 1,
                _ => false,
            },
        }
    }
}

/// Reports whether an unterminated quoted value may be cut off.
fn may_be_truncated(content: &str) -> bool {
    is_plain_id(content) && !is_hex_id(content)
}

/// Removes a YAML block indicator from a line, as in `key: |` or `key: !tag >-`.
fn without_block_indicator(text: &str) -> &str {
    let trimmed = text.trim_end();
    let head = trimmed.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    head.strip_suffix(['|', '>'])
        .map(str::trim_end)
        .map(|head| match head.rsplit_once(' ') {
            Some((name, tag)) if tag.starts_with('!') => name.trim_end(),
            _ => head,
        })
        .filter(|head| head.ends_with(':'))
        .unwrap_or(text)
}

/// Returns the section name of a line such as `[credentials]`.
fn section_name(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let name = name.trim_matches(['[', ']']);
    (!name.is_empty() && !is_hex_id(name) && name.chars().all(is_name)).then_some(name)
}

/// Reports whether a line is just the name of a task id or of a secret.
fn is_lone_name(words: &[&str]) -> bool {
    words.len() <= 3 && matches!(classify_words(words), NameClass::Task | NameClass::Secret)
}

/// Adds a value with the name of a task id.
fn add_named(value: NamedValue, word: &str, line: &str, found: &mut Findings) {
    match value {
        NamedValue::Id(id) => found.add(id.as_str(), Evidence::Named, line),
        NamedValue::Placeholder => found.skip(SkipReason::Placeholder, word),
    }
}

impl OpenQuotation {
    fn push(&mut self, content: &str, found: &mut Findings) {
        let Self::Read(reader) = self else {
            return found.add_secret(content);
        };
        let text = strip_controls(content);
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            reader.read_line(line, lines.peek().is_some(), found);
        }
    }
}

fn is_single_word(content: &str) -> bool {
    let content = content.trim();
    !content.is_empty()
        && content.chars().all(|c| {
            is_id_character(c)
                || matches!(c, '.' | '$' | '%' | '~' | '+')
                || !c.is_ascii() && c.is_alphanumeric()
        })
}

/// Returns the pieces of a word that could be ids, and whether each is part of a file name or link.
fn pieces(word: &str) -> impl Iterator<Item = (&str, bool)> {
    let is_path = word.contains('/');
    let mut previous = "";
    word.split('/').flat_map(move |segment| {
        let is_task = matches!(previous, "task" | "tasks");
        previous = segment;
        let trimmed = segment.trim_matches(['.', '+', '$', '%']);
        let inner = trimmed.split(['.', '@', '+', '$', '%']);
        let is_compound = trimmed.contains(['.', '@']);
        inner.map(move |piece| (piece, is_compound || (is_path && !is_task)))
    })
}

fn last_chars(text: &str, count: usize) -> &str {
    let start = text.char_indices().rev().nth(count).map_or(0, |(at, _)| at);
    text.get(start..).unwrap_or(text)
}

/// Escapes of HTML, JSON and URLs.
const MARKUP_ESCAPES: [(&str, &str); 23] = [
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#x22;", "\""),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
    ("\\u0026", "&"),
    ("\\u003d", "="),
    ("\\u0022", "\""),
    ("%25", "%"),
    ("%22", "\""),
    ("%3A", ":"),
    ("%3D", "="),
    ("%26", "&"),
    ("%3F", "?"),
    ("%7B", "{"),
    ("%7D", "}"),
    ("%2C", ","),
    ("%20", " "),
];

/// Resolves these escapes. Returns `None` if there are none.
fn unescape_markup(text: &str) -> Option<String> {
    if !text.contains(['&', '%', '\\']) {
        return None;
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut is_changed = false;
    let mut rest = text;
    while let Some(at) = rest.find(['&', '%', '\\']) {
        let (before, escape) = rest.split_at_checked(at)?;
        unescaped.push_str(before);
        let found = MARKUP_ESCAPES.iter().find(|(from, _)| {
            escape
                .get(..from.len())
                .is_some_and(|prefix| prefix.eq_ignore_ascii_case(from))
        });
        let (replacement, length) = match found {
            Some((from, to)) => (*to, from.len()),
            None => (escape.get(..1)?, 1),
        };
        is_changed |= found.is_some();
        unescaped.push_str(replacement);
        rest = escape.get(length..)?;
    }
    unescaped.push_str(rest);
    is_changed.then_some(unescaped)
}
