"""The release room: disclosure control of every number that leaves.

1. A release plan is an allow list: for each wave it names the rows that may be seen, for every code and statistic alike.
2. In a tree, what is left of a shown unit when the shown units below it are taken away is nobody or at least min_group
   people, and never exactly one part is hidden; where few answered one question, that question alone is closed there.
3. Every other breakdown has lower rank: it is shown where it is proved safe beside those before it, else it is left out whole.
4. A cell of a cross-classification is a part of its unit and of its category, and the tree rule holds for both.
5. What left before counts as told: a later release changes by nobody or by at least min_group people, on every question.
6. A plan is bound to what was counted (people, weights, units, categories, questions); a result that rests on anything
   else is refused.
7. protect() applies the plan, rounds by how many people stand behind a number, and seals what is left; only sealed blocks
   are exported, and every export is entered in the record.
"""
