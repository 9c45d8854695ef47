//! Varlink's messages: the same calls come out however the bytes come in, and nothing makes the reader panic.

use dynix::varlink::wire::{Call, Garbled, Inbox, encode};
use serde_json::Value;

pub fn check(data: &[u8]) {
    let (first, rest) = data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first) + 1, rest));
    let whole = read(rest.chunks(rest.len().max(1)));
    assert_eq!(read(rest.chunks(first)), whole, "in pieces of {first}");
    // serde_json may read a fraction as the next one to what was written.
    for call in whole.0.iter().filter(|call| !call.parameters.as_ref().is_some_and(has_fraction)) {
        let again = encode(call);
        assert_eq!(read(again.chunks(again.len())), (vec![call.clone()], None));
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(attributes) => attributes.values().any(has_fraction),
        _ => false,
    }
}

fn read<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<Call>, Option<Garbled>) {
    let (mut inbox, mut calls) = (Inbox::default(), Vec::new());
    for piece in pieces {
        inbox.take(piece);
        loop {
            match inbox.next_call() {
                Ok(Some(call)) => calls.push(call),
                Ok(None) => break,
                Err(garbled) => return (calls, Some(garbled)),
            }
        }
    }
    (calls, None)
}
