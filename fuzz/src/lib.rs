//! Which promises do the targets hold? The same that the tests of the repository hold over `seeds/`.

#[path = "../../tests/it/promises/mod.rs"]
pub mod promises;
