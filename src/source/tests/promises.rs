//! What must hold of the parsers for every input?
