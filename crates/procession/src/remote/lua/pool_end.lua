-- A pool ends, with all that it has. A: the board.
ring(K[7], 1)
wipe(A[1], K[1])
tidy(A[1])
return {0}
