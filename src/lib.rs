//! promptkeel: prompt regression testing.
