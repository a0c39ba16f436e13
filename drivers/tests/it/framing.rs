//! Framers: whole frames, bounds, and the way back after broken ones.

use tamga_drivers::framing::{
    ANSWER_LEN_MAX, Answer, AnswerFramer, Frame, FramingError, MbapError, MbapFramer, TextFramer,
};

fn frames(header: &[u8], terminator: &[u8], max_len: usize, stream: &[u8]) -> Vec<Frame> {
    let mut framer = TextFramer::new(header, terminator, max_len).unwrap();
    framer.push(stream);
    std::iter::from_fn(|| framer.pop()).collect()
}

fn whole(text: &str) -> Frame {
    Frame::Whole(text.as_bytes().to_vec())
}

#[test]
fn lines_are_cut_at_the_whole_terminator_only() {
    assert_eq!(frames(b"", b"\r\n", 9, b"ab\rc\r\n\r\nd"), [whole("ab\rc"), whole("")]);
    assert_eq!(frames(b"\x02", b"\x03", 9, b"\x02a\x03\r\n\x02b\x03"), [whole("a"), whole("b")]);
    assert_eq!(frames(b"<<", b">>", 9, b"<<<a>>"), [Frame::Whole(b"<a".to_vec())]);
}

#[test]
fn a_frame_is_allowed_its_bound_and_not_a_byte_more() {
    assert_eq!(
        frames(b"", b"\r\n", 4, b"abcd\r\nabcde\r\nx\r\n"),
        [whole("abcd"), Frame::Oversize, whole("x")]
    );
    // A terminator that begins within the bound and does not end is data.
    assert_eq!(frames(b"", b"\r\n", 4, b"abcd\rX\r\nok\r\n"), [Frame::Oversize, whole("ok")]);
    // The terminator of an oversize frame may be cut across the place where it was given up.
    assert_eq!(frames(b"", b"##;", 2, b"abcd##;x##;"), [Frame::Oversize, whole("x")]);
}

#[test]
fn a_lost_terminator_or_header_never_joins_two_frames() {
    assert_eq!(frames(b"\x02", b"\x03", 9, b"\x02abc\x02def\x03"), [Frame::Broken, whole("def")]);
    assert_eq!(frames(b"\x02", b"\x03", 9, b"abc\x03\x02def\x03"), [Frame::Broken, whole("def")]);
}

#[test]
fn a_framing_that_cannot_work_is_refused() {
    assert_eq!(TextFramer::new(b"", b"", 9).err(), Some(FramingError::NoTerminator));
    assert_eq!(TextFramer::new(b"\r", b"\r", 9).err(), Some(FramingError::Ambiguous));
    assert_eq!(TextFramer::new(b"", b"\r", 0).err(), Some(FramingError::NoRoom));
}

#[test]
fn zpl_answers_are_frames_or_quoted_values() {
    let mut framer = AnswerFramer::new();
    framer.push(b"noise\"31084\"\x02a,\"b\x03\r\n\x02cut\x02whole\x03\"cut\x02x\x03");
    framer.push(&[b"\x02".to_vec(), vec![b'x'; ANSWER_LEN_MAX + 1], b"\"?\"".to_vec()].concat());
    let answers: Vec<_> = std::iter::from_fn(|| framer.pop()).collect();
    let framed = |text: &str| Answer::Framed(text.as_bytes().to_vec());
    let quoted = |text: &str| Answer::Quoted(text.as_bytes().to_vec());
    assert_eq!(
        answers,
        [quoted("31084"), framed("a,\"b"), framed("whole"), framed("x"), Answer::Oversize, quoted("?")]
    );
}

/// "MODBUS Messaging on TCP/IP Implementation Guide V1.0b", 4.4.1.1: read register 5 of unit 0xFF.
const MBAP_EXAMPLE: &[u8] = &[0x15, 0x01, 0x00, 0x00, 0x00, 0x06, 0xFF, 0x03, 0x00, 0x04, 0x00, 0x01];

#[test]
fn modbus_frames_are_cut_by_their_length_and_checked() {
    let mut framer = MbapFramer::new();
    framer.push(MBAP_EXAMPLE);
    framer.push(&MBAP_EXAMPLE[..7]);
    let adu = framer.pop().unwrap().unwrap();
    assert_eq!((adu.transaction, adu.unit, adu.pdu.as_slice()), (0x1501, 0xFF, &[3, 0, 4, 0, 1][..]));
    assert_eq!(framer.pop(), Ok(None));

    let mut framer = MbapFramer::new();
    framer.push(b"HTTP/1.1");
    assert_eq!(framer.pop(), Err(MbapError::Protocol(0x5450)));
    let mut framer = MbapFramer::new();
    framer.push(&[0, 1, 0, 0, 1, 0, 1]);
    assert_eq!(framer.pop(), Err(MbapError::Length(256)));
}
