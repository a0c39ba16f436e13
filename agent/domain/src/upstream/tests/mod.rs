mod property;
mod world;
