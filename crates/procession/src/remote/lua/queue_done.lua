-- So many messages are done. A: how many. 0: so many are not undone.
local todo = tonumber(call('HGET', K[1], 'todo') or 0) - tonumber(A[1])
if todo < 0 then return {0}, false end
whatever_memory()
call('HSET', K[1], 'todo', todo)
if todo == 0 then ring(K[5], 1e9) end
return {1}
