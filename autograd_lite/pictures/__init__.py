"""Pictures of graphs, in three stages: what is in one (diagrams/), where it goes (layout/), the file (writers/).

drawing.py, stepper.py, quizzes.py (with exercises.py), explore.py, listing.py and formulas.py have what users call:
`draw`, `step`, `quiz`, `explore`, `tape` and `formula`; arguments.py checks what they are called with, mathematics.py
writes names and formulas. picture.py is what `draw` returns, steps.py lists the steps of backpropagation.
"""
