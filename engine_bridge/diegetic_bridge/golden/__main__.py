"""Write the golden vectors to where every client's tests look for them."""

from diegetic_bridge import golden

golden.VECTORS.parent.mkdir(exist_ok=True)
golden.VECTORS.write_text(golden.text(), encoding="utf-8", newline="\n")
