//! Is a stream the same however it is cut into pieces, a stream that was cut off never another message, and a whole one the same whatever follows?

use promptkeel::endpoint::messages::{Parsed, parse};
use promptkeel::endpoint::sse::{Decoder, Event, SseError};
use promptkeel::endpoint::stream::{Reader, StreamFault, read};

use super::excerpts::is_harmless;
use super::reply::{LONGEST_REASON, is_usable};

/// The input is the body of a streamed response.
pub fn holds(input: &[u8]) {
    for longest in [64, 1 << 20] {
        assert_eq!(events(longest, [input]), events(longest, input.chunks(1)), "byte by byte");
        assert_eq!(events(longest, [input]), events(longest, input.chunks(7)), "in sevens");
    }
    let whole = read([input]);
    assert_eq!(whole, read(input.chunks(1)), "byte by byte");
    match &whole {
        Ok(message) => {
            for cut in cuts(input.len()) {
                // Not where the last event lacks its blank line: it counts where nothing follows, and could go on where something does.
                let mut beginning = Reader::default();
                if beginning.feed(&input[..cut]).is_ok() && beginning.is_whole() {
                    assert_eq!(beginning.finish().as_ref(), Ok(message), "cut at {cut}");
                }
            }
            for behind in ["event: message_start\ndata: {}\n\n", "event: error\ndata: gone\n\n", "data: {\"type\":\"message_stop\"}\n\n"] {
                assert_eq!(read([input, b"\n\n", behind.as_bytes()]).as_ref(), Ok(message), "{behind:?} behind a whole message");
            }
            if let Ok(Parsed::Message(message)) = parse(&message.to_string()) {
                is_usable(*message);
            }
        }
        Err(StreamFault::Error(_)) => {}
        Err(StreamFault::Malformed(reason) | StreamFault::NoText(reason) | StreamFault::Early(reason)) => {
            assert!(!reason.is_empty() && reason.len() <= LONGEST_REASON, "{} bytes: {reason}", reason.len());
            assert!(is_harmless(reason), "{reason:?}");
        }
    }
}

fn events<'a>(longest: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, SseError> {
    let mut decoder = Decoder::new(longest);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(decoder.feed(piece)?);
    }
    events.extend(decoder.finish()?);
    assert!(events.iter().all(|event| event.name.len() + event.data.len() <= longest));
    Ok(events)
}

/// A few places over the whole length, the last bytes among them.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..16_usize).map(move |part| length * part / 16).chain((1..4).filter_map(move |bytes| length.checked_sub(bytes)))
}
