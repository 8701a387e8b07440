//! `$BROWSER`: command lines separated by `:`, split into words by a shell's rules, without a
//! shell.

use crate::adapters::{command::SearchPath, environment};

/// Parses the variable into command lines, in order.
pub(super) fn parse(text: &str, search_path: &SearchPath) -> Result<Vec<Vec<String>>, String> {
    // An unquoted path with spaces.
    if search_path.find(text.trim()).is_some() {
        return Ok(vec![vec![text.trim().to_owned()]]);
    }
    let mut lines = Vec::new();
    for mut words in split_command_lines(text)? {
        if let [line] = words.as_slice()
            && line.contains(char::is_whitespace)
            && search_path.find(line).is_none()
        {
            // Quotes around the whole line, as `.env` files keep them.
            words = split_command_lines(line)?
                .into_iter()
                .next()
                .unwrap_or_default();
        }
        if let Some(program) = words.first_mut() {
            *program = environment::expand_program(program).map_err(|error| error.to_string())?;
            lines.push(words);
        }
    }
    Ok(lines)
}

/// Splits at `:` into lines and at white space into words, except in quotes or after a backslash.
fn split_command_lines(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut lines = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => {
                let is_escape =
                    |next: &char| quote.is_none() || matches!(next, '"' | '\\' | '$' | '`');
                let next = characters.next_if(is_escape);
                word.get_or_insert_default().push(next.unwrap_or(c));
            }
            (c, None) if c == ':' || c.is_whitespace() => {
                if let (Some(line), Some(word)) = (lines.last_mut(), word.take()) {
                    line.push(word);
                }
                if c == ':' {
                    lines.push(Vec::new());
                }
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("unclosed quote".to_owned());
    }
    if let Some(line) = lines.last_mut() {
        line.extend(word);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn words_are_split_like_a_shell() {
        let table: [(&str, &[&[&str]]); 9] = [
            ("fox", &[&["fox"]]),
            ("a:b %s", &[&["a"], &["b", "%s"]]),
            (
                r#""/c/Program Files/fox" %s"#,
                &[&["/c/Program Files/fox", "%s"]],
            ),
            (r"/c/Program\ Files/fox", &[&["/c/Program Files/fox"]]),
            ("'a b'c\"d\"", &[&["a bcd"]]),
            (
                r#""a\"b\x" --url='http://x:%s'"#,
                &[&[r#"a"b\x"#, "--url=http://x:%s"]],
            ),
            ("a ''", &[&["a", ""]]),
            (r"a\", &[&[r"a\"]]),
            ("", &[&[]]),
        ];
        for (text, expected) in table {
            assert_eq!(split_command_lines(text).unwrap(), expected, "{text}");
        }
        for text in ["\"a", "'a", "a 'b c"] {
            assert!(split_command_lines(text).is_err(), "{text}");
        }
    }

    #[test]
    fn program_paths_may_contain_spaces() {
        let folder = tempfile::tempdir().unwrap();
        let fox = folder.path().join("a b/fox");
        fs::create_dir(folder.path().join("a b")).unwrap();
        fs::write(&fox, "").unwrap();
        fs::set_permissions(&fox, fs::Permissions::from_mode(0o700)).unwrap();
        let fox = fox.to_str().unwrap();
        let parse = |text: &str| parse(text, &SearchPath::parse("".as_ref()));

        for text in [
            fox.to_owned(),
            format!("\"{fox}\""),
            format!(" '{fox}'\r\n"),
        ] {
            assert_eq!(parse(&text), Ok(vec![vec![fox.to_owned()]]), "{text}");
        }
        let quoted = format!(r#""\"{fox}\" %s""#);
        for text in [format!("'{fox}' %s"), quoted] {
            let line = vec![fox.to_owned(), "%s".to_owned()];
            assert_eq!(parse(&text), Ok(vec![line]), "{text}");
        }
        assert_eq!(parse(":"), Ok(Vec::new()));
        let error = parse("$NO_SUCH_FOLDER/fox").unwrap_err();
        assert!(error.contains("NO_SUCH_FOLDER"), "{error}");
    }
}
