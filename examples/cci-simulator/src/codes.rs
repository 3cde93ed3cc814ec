//! Exit codes of 128 and above: the errors. Below 128 a command ended normally, whatever its code means.
//!
//! Numbers: public code that wraps the commands, six of them also in the RAID Manager User's Guide for XP128 to XP12000.

use std::fmt::Write as _;

use crate::Ended;

/// An error of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    message: &'static str,
    /// Whether the message is only remembered: no manual was seen with it.
    recollected: bool,
}

const fn read(number: u8, name: &'static str, message: &'static str) -> Code {
    Code { number, name, message, recollected: false }
}

const fn recollected(number: u8, name: &'static str, message: &'static str) -> Code {
    Code { number, name, message, recollected: true }
}

/// Those that are given, and those that can be injected.
pub(crate) static CODES: [Code; 22] = [
    recollected(255, "EX_COMERR", "Can't be communicate with HORC manager"),
    recollected(254, "EX_REQARG", "Required Arg list"),
    recollected(253, "EX_INVARG", "Invalid argument"),
    read(252, "EX_UNWOPT", "Unknown option"),
    read(251, "EX_ATTHOR", "Can't be attached to HORC manager"),
    recollected(246, "EX_ENODEV", "No such device"),
    recollected(242, "EX_ENORMT", "No remote host alive for remote commands, or remote CCI might be blocked"),
    recollected(239, "EX_ENOGRP", "No such group"),
    recollected(237, "EX_CMDIOE", "Control command I/O error"),
    read(236, "EX_ENQVOL", "Unmatched volume status within the group"),
    read(235, "EX_EVOLCE", "Pair volume combination error"),
    read(234, "EX_EWSUSE", "Pair suspended at WAIT state"),
    recollected(233, "EX_EWSTOT", "Timeout waiting for specified status"),
    recollected(232, "EX_EWSLTO", "Timeout waiting for specified status on the local host"),
    recollected(231, "EX_ESTMON", "HORCM Monitor stopped"),
    read(229, "EX_INCSTG", "Inconsistent status in group"),
    read(228, "EX_INVSTP", "Invalid pair status"),
    recollected(225, "EX_VOLCUR", "S-VOL currency error"),
    read(222, "EX_INVVOL", "Invalid volume status"),
    read(221, "EX_CMDRJE", "An order to the control/command device was rejected"),
    recollected(212, "EX_ENQSIZ", "Unmatched volume size for pairing"),
    recollected(206, "EX_ENOPOL", "Not enough pool"),
];

/// The code of a name.
pub(crate) fn named(name: &str) -> Option<Code> {
    CODES.iter().copied().find(|code| code.name == name)
}

/// Ends a command with an error. That it goes to standard error, and the second line, are recollected; the line with
/// sense data is as in field logs.
pub(crate) fn failed(command: &str, name: &str, log: &str) -> Ended {
    let code = named(name).unwrap_or(CODES[0]);
    let mut err = format!("{command}: [{}] {}\n", code.name, code.message);
    if code.name == "EX_CMDRJE" {
        let _ = writeln!(
            err,
            "It was rejected due to SKEY=0x05, ASC=0x26, ASCQ=0x00, SSB=0xB90F,0xB901 on Serial#(64568)"
        );
    }
    let _ = writeln!(err, "Refer to the command log({log}) for details.");
    Ended { code: code.number, out: String::new(), err }
}

/// A listing of them for whoever learns.
pub(crate) fn listing() -> String {
    CODES.iter().fold(String::new(), |mut text, code| {
        let mark = if code.recollected { "  (message recollected)" } else { "" };
        let _ = writeln!(text, "{} {:10} {}{mark}", code.number, code.name, code.message);
        text
    })
}
