//! A run with every verdict, state and corner that a format must show; golden files of all formats are made from it.
