"""``guardctl acceptance``: what only AWS can show, tried on a throwaway stage that is removed again."""
