//! `/docs`: the document as a page to read. It needs no script and no other host.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::problems::Code;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}\
code,pre{font:14px/1.4 ui-monospace,monospace}h2{margin-top:3rem}h3{margin-top:2.5rem;border-top:1px solid #8886;padding-top:1rem}\
table{border-collapse:collapse;width:100%;margin:.5rem 0}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;\
border-bottom:1px solid #8883}nav ul{columns:2 20rem}.method{font-weight:700}";

/// The whole page.
pub fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title} {}</h1>\n",
        text(&document["info"]["version"])
    );
    paragraphs(&mut html, &document["info"]["description"]);
    html += "<p>The same for programs: <a href=\"openapi.json\">openapi.json</a>. \
             <a href=\"#schemas\">Schemas</a>, <a href=\"#problems\">problems</a>.</p>\n";
    let operations: Vec<_> = operations(document).collect();
    html += "<nav><ul>\n";
    for (method, path, operation) in &operations {
        let id = text(&operation["operationId"]);
        put(
            &mut html,
            format_args!("<li><a href=\"#{id}\"><code>{method} {path}</code></a></li>\n"),
        );
    }
    html += "</ul></nav>\n<h2 id=\"operations\">Operations</h2>\n";
    for (method, path, one) in &operations {
        operation(&mut html, method, path, one);
    }
    html += "<h2 id=\"schemas\">Schemas</h2>\n";
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let name = escaped(name);
        put(
            &mut html,
            format_args!("<h3 id=\"schema-{name}\"><code>{name}</code></h3>\n"),
        );
        described(&mut html, schema);
    }
    problems(&mut html);
    html + "</body></html>\n"
}

fn operations(document: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    entries(&document["paths"]).flat_map(|(path, item)| {
        entries(item)
            .filter(|(_, operation)| operation["operationId"].is_string())
            .map(move |(method, operation)| (method.to_uppercase(), escaped(path), operation))
    })
}

fn operation(html: &mut String, method: &str, path: &str, operation: &Value) {
    put(
        html,
        format_args!(
            "<h3 id=\"{}\"><code><span class=\"method\">{method}</span> {path}</code></h3>\n<p>{}. {}</p>\n",
            text(&operation["operationId"]),
            marked(&operation["summary"]),
            who_may(&operation["security"]),
        ),
    );
    paragraphs(html, &operation["description"]);
    let parameters = items(&operation["parameters"]);
    if !parameters.is_empty() {
        *html += "<table><tr><th>parameter</th><th>in</th><th>what</th><th></th></tr>\n";
        for parameter in parameters {
            let required = parameter["required"] == true;
            put(
                html,
                format_args!(
                    "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                    text(&parameter["name"]),
                    if required { "" } else { " (optional)" },
                    text(&parameter["in"]),
                    kind(&parameter["schema"]),
                    marked(&parameter["description"]),
                ),
            );
        }
        *html += "</table>\n";
    }
    for (_, content) in entries(&operation["requestBody"]["content"]) {
        put(
            html,
            format_args!("<p>Body: {}</p>\n", kind(&content["schema"])),
        );
    }
    *html += "<table><tr><th>status</th><th>body</th><th></th></tr>\n";
    for (status, response) in entries(&operation["responses"]) {
        let bodies: Vec<String> = entries(&response["content"])
            .map(|(_, content)| kind(&content["schema"]))
            .collect();
        put(
            html,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(status),
                bodies.join(" or "),
                marked(&response["description"])
            ),
        );
    }
    *html += "</table>\n";
}

fn who_may(security: &Value) -> &'static str {
    let schemes = items(security);
    let anonymous = schemes
        .iter()
        .any(|scheme| entries(scheme).next().is_none());
    match (anonymous, schemes.len()) {
        (true, 1) => "No token is needed.",
        (true, _) => "With a token or without.",
        _ => "A token is needed.",
    }
}

/// A schema with its parts, at the place where it is defined.
fn described(html: &mut String, schema: &Value) {
    paragraphs(html, &schema["description"]);
    for part in items(&schema["allOf"]) {
        if part["$ref"].is_string() {
            put(
                html,
                format_args!("<p>Everything of {}, and:</p>\n", kind(part)),
            );
        } else {
            described(html, part);
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        fields(html, properties, items(&schema["required"]));
    } else if !schema["allOf"].is_array() {
        put(html, format_args!("<p>{}</p>\n", kind(schema)));
    }
}

fn fields(html: &mut String, properties: &Map<String, Value>, required: &[Value]) {
    *html += "<table><tr><th>field</th><th>what</th><th></th></tr>\n";
    for (name, schema) in properties {
        let optional = !required.iter().any(|each| each == name);
        put(
            html,
            format_args!(
                "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(name),
                if optional { " (optional)" } else { "" },
                kind(schema),
                marked(&schema["description"])
            ),
        );
    }
    *html += "</table>\n";
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = escaped(name.rsplit('/').next().unwrap_or(name));
        return format!("<a href=\"#schema-{name}\"><code>{name}</code></a>");
    }
    for choice in ["oneOf", "anyOf"] {
        let kinds: Vec<String> = items(&schema[choice]).iter().map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let words: Vec<String> = items(&schema["enum"])
        .iter()
        .map(|word| format!("<code>{}</code>", text(word)))
        .collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        several => items(several).iter().filter_map(Value::as_str).collect(),
    };
    let names: Vec<String> = names
        .into_iter()
        .map(|name| match name {
            "array" => format!("list of {}", kind(&schema["items"])),
            other => escaped(other),
        })
        .collect();
    let mut said = if names.is_empty() {
        "anything".to_owned()
    } else {
        names.join(" or ")
    };
    for (keyword, word) in LIMITS {
        if let Some(limit) = schema.get(keyword) {
            put(&mut said, format_args!(", {word} {}", text(limit)));
        }
    }
    for keyword in ["pattern", "default"] {
        if let Some(value) = schema.get(keyword) {
            put(
                &mut said,
                format_args!(", {keyword} <code>{}</code>", text(value)),
            );
        }
    }
    said
}

/// Limits of a value, and how they are said.
const LIMITS: [(&str, &str); 7] = [
    ("format", "format"),
    ("minLength", "shortest"),
    ("maxLength", "longest"),
    ("minimum", "least"),
    ("maximum", "most"),
    ("minItems", "fewest"),
    ("maxItems", "at most"),
];

fn problems(html: &mut String) {
    *html += "<h2 id=\"problems\">Problems</h2>\n<p>Told by the host; a policy's refusal has the policy's reason as its \
              <code>code</code>.</p>\n\
              <table><tr><th>status</th><th>code</th><th>what happened</th><th>what to do</th></tr>\n";
    for code in Code::ALL {
        put(
            html,
            format_args!(
                "<tr><td>{}</td><td><code>{code}</code></td><td>{}</td><td>{}</td></tr>\n",
                code.status(),
                with_code(code.meaning()),
                with_code(code.remedy())
            ),
        );
    }
    *html += "</table>\n";
}

fn paragraphs(html: &mut String, value: &Value) {
    let blocks = value.as_str().unwrap_or_default().split("\n\n");
    for block in blocks.filter(|block| !block.is_empty()) {
        put(html, format_args!("<p>{}</p>\n", with_code(block)));
    }
}

fn marked(value: &Value) -> String {
    with_code(value.as_str().unwrap_or_default())
}

/// Escaped, with what stands between backticks as code.
fn with_code(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in text.split('`').enumerate() {
        let part = escaped(part);
        if place % 2 == 1 {
            put(&mut html, format_args!("<code>{part}</code>"));
        } else {
            html += &part;
        }
    }
    html
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        Value::Null => String::new(),
        other => escaped(&other.to_string()),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn put(html: &mut String, said: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = html.write_fmt(said);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_operation_schema_and_problem_and_reaches_no_other_host() {
        let document = crate::http::document(true);
        let html = page(&document);
        for (_, _, operation) in operations(&document) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(html.contains(&format!("<h3 id=\"{id}\">")), "{id}");
        }
        for (name, _) in entries(&document["components"]["schemas"]) {
            assert!(html.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        for code in Code::ALL {
            assert!(html.contains(&format!("<code>{code}</code>")), "{code}");
        }
        for word in ["http://", "https://", "src=", "<script", "@import", "url("] {
            assert!(!html.contains(word), "{word}");
        }
        for link in html.split("href=\"#").skip(1) {
            let id = link.split('"').next().unwrap();
            assert!(
                html.contains(&format!("id=\"{id}\"")),
                "nothing is at #{id}"
            );
        }
    }

    #[test]
    fn what_a_document_says_is_text() {
        assert_eq!(
            with_code("a < b & `<script>`"),
            "a &lt; b &amp; <code>&lt;script&gt;</code>"
        );
    }
}
