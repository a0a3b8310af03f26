"""Several runs side by side: what differs between them, and which arms by more than chance.

`opened` reads their folders, `likeness` says what differs and whether like is compared with like,
`pairs` holds arms against each other person by person, `tables` and `page` show it.
"""
