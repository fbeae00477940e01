"""`guardctl verify`: a module per subject, each a reader of facts and a pure judge of them. Nothing here writes."""
