"""Small multilingual tasks made from Unicode CLDR data, as Babel ships it.

`docs/reference/embedded-tasks.md` is their recipe.
"""
