-- An acquisition whose caller was told an error. A: its reply.
if A[1] ~= '1' or call('HEXISTS', K[1], 'value') == 0 then return {0}, false end
whatever_memory()
call('HINCRBY', K[1], 'value', 1)
ring(K[2], 1)
return {1}
