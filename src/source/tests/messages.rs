//! Does each mistake say what a newcomer needs?
