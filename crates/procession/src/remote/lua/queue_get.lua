-- Takes messages from an end of a row. A: LPOP or RPOP, how many at most, whom there is to wake at the other
-- end (see vacate), the waiter. Returns how many, and these; 0: there are none; -1: there will be none.
local taken = call(A[1], K[2], few(tonumber(A[2]), 'LLEN'))
if not taken or not taken[1] then return nothing(A[4]) end
local sum = 0
for i = 1, #taken do sum = sum + #taken[i] - 1 end
vacate(#taken, sum, A[3], A[4])
table.insert(taken, 1, #taken)
return taken
