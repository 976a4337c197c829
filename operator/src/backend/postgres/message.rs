//! The messages that begin a session (<https://www.postgresql.org/docs/current/protocol-message-formats.html>). Pure.

/// Asks whether the server speaks TLS: the length, and a number that stands for the wish.
pub(super) const WISH_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Version 3.0 of the protocol, which every supported server speaks.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// A role that nobody has: it need not exist to be asked for its password.
const USER: &[u8] = b"logistics_operator";

/// Bytes before a message's body: its kind and its length.
pub(super) const HEAD: usize = 5;

/// Longest message that is read; the server's first ones are short.
const MAX_LENGTH: u32 = 16 * 1024;

/// Most characters of a server's message that are shown.
const SHOWN: usize = 400;

/// What a server's first message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A session can begin.
    Alive,
    /// None can, as the server says.
    Away(String),
}

/// The start of a session.
pub(super) fn start() -> Vec<u8> {
    let mut body = VERSION.to_vec();
    for text in [b"user", USER, b"application_name", b"logistics-operator", b""] {
        body.extend(text);
        body.push(0);
    }
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body.as_slice()].concat()
}

/// The length of a message's body; `None` when it cannot be one.
pub(super) fn length(head: [u8; HEAD]) -> Option<usize> {
    let [_, length @ ..] = head;
    let length = u32::from_be_bytes(length);
    // It counts itself.
    (length <= MAX_LENGTH).then(|| usize::try_from(length.checked_sub(4)?).ok())?
}

/// What a message says; `None` when it is not one that a server begins with.
pub(super) fn answer(kind: u8, body: &[u8]) -> Option<Answer> {
    match kind {
        // It wants to know who is there, or does not even want that.
        b'R' => Some(Answer::Alive),
        b'E' => error(body),
        _ => None,
    }
}

/// A server that has something against us is there; one that names itself as the reason is as good as away.
fn error(body: &[u8]) -> Option<Answer> {
    let code = field(body, b'C')?;
    let message: String = field(body, b'M')?.chars().take(SHOWN).collect();
    // Too few resources, an operator's hand (a start, a stop), the system, a defect.
    let of_the_server = ["53", "57", "58", "XX"]
        .iter()
        .any(|class| code.starts_with(class));
    Some(if of_the_server {
        Answer::Away(format!("{message} (SQLSTATE {code})"))
    } else {
        Answer::Alive
    })
}

fn field(body: &[u8], kind: u8) -> Option<String> {
    let mut fields = body.split(|byte| *byte == 0);
    let field = fields.find(|field| field.first() == Some(&kind))?;
    Some(String::from_utf8_lossy(field.get(1..)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, message: &str) -> Option<Answer> {
        answer(
            b'E',
            format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0").as_bytes(),
        )
    }

    #[test]
    fn a_session_is_begun_as_nobody() {
        let start = start();
        assert_eq!(start[..4], [0, 0, 0, u8::try_from(start.len()).unwrap()]);
        let text = String::from_utf8_lossy(&start[8..]);
        assert_eq!(
            text,
            "user\0logistics_operator\0application_name\0logistics-operator\0\0"
        );
    }

    #[test]
    fn who_asks_for_a_password_or_refuses_the_role_is_there() {
        assert_eq!(
            answer(b'R', &[0, 0, 0, 10]),
            Some(Answer::Alive),
            "it asks for a password"
        );
        for (code, message) in [
            ("28000", "no pg_hba.conf entry for host"),
            ("28P01", "password authentication failed"),
            ("3D000", "database \"logistics_operator\" does not exist"),
            // How a pooler says that there is no such role.
            ("08P01", "no such user: logistics_operator"),
        ] {
            assert_eq!(refusal(code, message), Some(Answer::Alive), "{code}");
        }
    }

    #[test]
    fn who_cannot_serve_anybody_is_away() {
        for (code, message) in [
            ("57P03", "the database system is starting up"),
            ("57P01", "terminating connection due to administrator command"),
            ("53300", "sorry, too many clients already"),
            ("58000", "could not open file"),
        ] {
            let away = Answer::Away(format!("{message} (SQLSTATE {code})"));
            assert_eq!(refusal(code, message), Some(away));
        }
    }

    #[test]
    fn what_is_no_message_of_a_server_is_not_taken_for_one() {
        assert_eq!(length(*b"HTTP/"), None);
        assert_eq!(length([b'R', 0, 0, 0, 3]), None);
        assert_eq!(length([b'R', 0, 0, 0, 8]), Some(4));
        assert_eq!(answer(b'H', b"TTP"), None);
        assert_eq!(answer(b'E', b"no fields"), None);
    }
}
