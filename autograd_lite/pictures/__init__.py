"""Pictures of graphs: what is in them (diagrams/), where it goes (layout/), how it is written (writers/).

drawing.py, stepper.py, quizzes.py and listing.py have what users call: `draw`, `step`, `quiz` and `tape`. steps.py says
what backpropagation does one step after another, picture.py is what `draw` returns.
"""
