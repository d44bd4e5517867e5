// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort keys status`: where the private halves are, and what opens their store.
//!
//! In: the state folder, the sources that can be asked without a person. Out: each way in, and whether it opens.
//!
//! **Invariant:** looking makes and changes nothing. A way in is called good only after it has opened the store.

use std::io::Write as _;

use ringfort_secrets::store::{Header, PREVIOUS_NAME, Slot, Vault};
use serde_json::json;

use super::{Desk, Failure};
use crate::commands::{EXIT_FAILED, EXIT_OK};
use crate::output;
use crate::vault::Opener;

/// One way in.
struct Way<'h> {
    slot: &'h Slot,
    /// Why it does not open.
    shut: Option<String>,
}

impl Desk<'_> {
    pub(super) fn status(&self) -> Result<u8, Failure> {
        let opener = self.opener();
        let path = opener.folder();
        let mut out = anstream::stdout().lock();
        let Some(header) = opener.header()? else {
            if self.common.json {
                output::json_line(&mut out, &json!({ "path": path, "slots": [], "count": 0 }))?;
            } else {
                writeln!(out, "there are no keys; `ringfort keys generate NAME` makes one")?;
            }
            return Ok(EXIT_OK);
        };
        let (ways, vault) = ways(&opener, &header)?;
        let count = vault.as_ref().map(Vault::len);
        let has_previous = path.join(PREVIOUS_NAME).exists();
        let status = if vault.is_some() { EXIT_OK } else { EXIT_FAILED };
        if self.common.json {
            let slot = |(index, way): (usize, &Way<'_>)| {
                json!({
                    "number": index + 1, "source": way.slot.data.source, "made": way.slot.made.to_string(),
                    "opens": way.shut.is_none(), "why": way.shut,
                })
            };
            let slots: Vec<_> = ways.iter().enumerate().map(slot).collect();
            let value = json!({
                "path": path, "generation": header.generation, "count": count, "previous": has_previous, "slots": slots,
            });
            output::json_line(&mut out, &value)?;
            return Ok(status);
        }
        writeln!(out, "folder      {}", path.display())?;
        writeln!(out, "generation  {}", header.generation)?;
        match count {
            Some(count) => writeln!(out, "keys        {count}")?,
            None => writeln!(out, "keys        nothing here opens their store")?,
        }
        for (index, way) in ways.iter().enumerate() {
            let (number, source) = (index + 1, way.slot.data.source.escape_debug());
            match &way.shut {
                None => writeln!(out, "slot {number:<6} {source}: opens")?,
                Some(why) => writeln!(out, "slot {number:<6} {source}: does not open: {why}")?,
            }
        }
        if has_previous {
            writeln!(out, "previous    there; `ringfort keys restore --previous` goes back by one change")?;
        }
        Ok(status)
    }
}

/// Every way in, and the store if one of them opens it.
fn ways<'h>(opener: &Opener<'_>, header: &'h Header) -> Result<(Vec<Way<'h>>, Option<Vault>), Failure> {
    let (mut ways, mut vault) = (Vec::new(), None);
    for slot in &header.slots {
        let name = slot.data.source.as_str();
        let reached = match opener.is_quiet(name) && !opener.asks_pin_of(&slot.data) {
            true => opener.reach(header, name)?,
            false => Err("it asks a person, and keys are used when nobody is there".to_owned()),
        };
        if let (Ok([first, ..]), true) = (reached.as_deref(), vault.is_none()) {
            vault = Some(
                Vault::open_by(&opener.folder(), first, opener.options(header)?)
                    .map_err(|error| opener.unusable(error))?,
            );
        }
        ways.push(Way { slot, shut: reached.err() });
    }
    Ok((ways, vault))
}
