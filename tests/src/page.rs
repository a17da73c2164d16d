//! Pages of contrib/doc whose blocks tests use as they are written.

/// A block of a page, by the comment before it: `<!-- KIND: NAME -->`, then a fenced block, which may
/// be indented in a list.
#[must_use]
#[track_caller]
pub fn block<'p>(page: &'p str, kind: &str, name: &str) -> &'p str {
    let mark = format!("<!-- {kind}: {name} -->\n");
    let rest = page.split_once(&mark).map(|(_, rest)| rest);
    let fenced = rest
        .and_then(|rest| rest.split_once("```"))
        .and_then(|(_, rest)| rest.split_once('\n'))
        .and_then(|(_, rest)| rest.split_once("```"));
    match fenced {
        Some((block, _)) => block,
        None => panic!("the page has no block {kind}: {name}"),
    }
}
