//! Links to neighbouring pages.
//!
//! Owns the `Link` header of a page of messages (RFC 8288): `next` goes on in the direction asked, `prev` goes back.
//! Promises that following `next` to its end gives every message once. Never guesses a page that cannot be there.

use http::HeaderValue;
use parlour_proto::v1::Message;

/// Which messages were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The newest of all.
    Newest,
    /// The newest below a seq.
    Before(u64),
    /// The oldest above a seq.
    After(u64),
}

/// The value of the header; none where there is nowhere to go. `size` is the page size asked for, 0 for none.
pub(super) fn header(
    path: &str,
    asked: Asked,
    size: i32,
    page: &[Message],
    more: bool,
) -> Option<HeaderValue> {
    let limit = if size > 0 { format!("&limit={size}") } else { String::new() };
    let link = |name, seq, rel| format!("<{path}?{name}={seq}{limit}>; rel=\"{rel}\"");
    let first = page.first().map(|message| message.id);
    let last = page.last().map(|message| message.id);
    let (next, prev) = match asked {
        Asked::Newest => (first.filter(|_| more).map(|seq| link("before", seq, "next")), None),
        Asked::Before(seq) => {
            let newer = last.or(seq.checked_sub(1));
            (
                first.filter(|_| more).map(|seq| link("before", seq, "next")),
                newer.map(|seq| link("after", seq, "prev")),
            )
        }
        Asked::After(seq) => {
            let older = first.or(seq.checked_add(1)).filter(|seq| *seq > 1);
            (
                last.filter(|_| more).map(|seq| link("after", seq, "next")),
                older.map(|seq| link("before", seq, "prev")),
            )
        }
    };
    let links: Vec<String> = next.into_iter().chain(prev).collect();
    (!links.is_empty())
        .then(|| HeaderValue::try_from(links.join(", ")).expect("a path and numbers are ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(asked: Asked, size: i32, ids: &[u64], more: bool) -> Option<String> {
        let page: Vec<_> = ids.iter().map(|id| Message { id: *id, ..Message::default() }).collect();
        header("/m", asked, size, &page, more).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_table_of_links() {
        for (asked, size, ids, more, expected) in [
            (Asked::Newest, 0, &[][..], false, None),
            (Asked::Newest, 0, &[1, 2], false, None),
            (Asked::Newest, 2, &[5, 7], true, Some("</m?before=5&limit=2>; rel=\"next\"")),
            (
                Asked::Before(5),
                0,
                &[3, 4],
                true,
                Some("</m?before=3>; rel=\"next\", </m?after=4>; rel=\"prev\""),
            ),
            (Asked::Before(3), 0, &[1, 2], false, Some("</m?after=2>; rel=\"prev\"")),
            (Asked::Before(1), 0, &[], false, Some("</m?after=0>; rel=\"prev\"")),
            (
                Asked::After(2),
                9,
                &[3, 5],
                true,
                Some("</m?after=5&limit=9>; rel=\"next\", </m?before=3&limit=9>; rel=\"prev\""),
            ),
            (Asked::After(0), 0, &[1], false, None),
            (Asked::After(7), 0, &[], false, Some("</m?before=8>; rel=\"prev\"")),
            (Asked::After(u64::MAX), 0, &[], false, None),
        ] {
            assert_eq!(seen(asked, size, ids, more).as_deref(), expected, "{asked:?} {ids:?}");
        }
    }
}
