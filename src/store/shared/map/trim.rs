//! Making room among guests.

use crate::store::shared::engine::Share;
use crate::store::shared::engine::Trimmed;
use crate::store::shared::map::Held;
use crate::store::shared::map::State;

impl State {
    pub(super) fn trim(&mut self, share: &Share) -> Trimmed {
        let guests = self.sessions.iter().filter(|(_, held)| held.is_guest);
        let mut order: Vec<_> = guests
            .map(|(id, Held { row, .. })| {
                (!row.unspent.is_empty(), row.seen_at, *id, row.doc.len())
            })
            .collect();
        order.sort_unstable();
        let mut left = Trimmed { guests: order.len(), ..Trimmed::default() };
        left.bytes = order.iter().map(|(.., bytes)| bytes).sum();
        for (_, _, id, bytes) in order.into_iter().filter(|(_, _, id, _)| Some(*id) != share.spared)
        {
            let fits = left.guests <= share.guests && left.bytes <= share.bytes;
            if fits || left.dropped == share.at_most {
                break;
            }
            let Some(Held { row, .. }) = self.sessions.remove(&id) else { continue };
            for slip in row.unspent {
                self.tokens.remove(&slip.digest);
            }
            left.guests -= 1;
            left.bytes -= bytes;
            left.dropped += 1;
        }
        left
    }
}
