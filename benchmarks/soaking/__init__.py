"""What it takes to hurt a running stack, and to see afterwards that nothing was lost and nothing came twice.

stack.py       `gray2hue up` in a folder of its own, and its processes
photos.py      small photographs, damaged ones, and ones that are to kill
blows.py       threads that kill, restart and forget, by a seed
poison.py      kills whatever process has decoded a photograph that is to kill
postgres.py    a PostgreSQL of one's own, to be restarted and killed
messages.py    what becomes of messages in Redis: copied, dropped, all forgotten
outcomes.py    a ledger of committed results, by a trigger that forbids nothing
stored.py      what lies in the storage, against what the database says should
verdict.py     what is judged at the end
"""
