"""Pictures of graphs, in three stages: what is in one (diagrams/), where it goes (layout/), the file (writers/).

drawing.py, stepper.py, quizzes.py and listing.py have what users call: `draw`, `step`, `quiz` and `tape`; arguments.py
checks what they are called with. picture.py is what `draw` returns, steps.py lists the steps of backpropagation.
"""
