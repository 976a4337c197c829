//! Page tokens: where the next page of an account's shipments begins.
//!
//! A token holds nothing secret and gives no right: a list only ever shows the caller's account. Its check bytes catch
//! tokens that were cut, mixed up between accounts or made up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const ID: usize = 16;
const CHECK: usize = 6;

/// The token for what follows `last`.
pub(crate) fn write(last: Uuid, account_id: &str) -> String {
    let mut bytes = last.as_bytes().to_vec();
    bytes.extend(check(last, account_id));
    BASE64.encode(bytes)
}

/// Where the token points to; `None` if it is not one of this account.
pub(crate) fn read(token: &str, account_id: &str) -> Option<Uuid> {
    let bytes = BASE64.decode(token).ok()?;
    let (id, given) = bytes.split_at_checked(ID)?;
    let last = Uuid::from_slice(id).ok()?;
    (given == check(last, account_id)).then_some(last)
}

fn check(last: Uuid, account_id: &str) -> [u8; CHECK] {
    let digest = Sha256::new()
        .chain_update(last)
        .chain_update(account_id)
        .finalize();
    std::array::from_fn(|at| digest[at])
}
