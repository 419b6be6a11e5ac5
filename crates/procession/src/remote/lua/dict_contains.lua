-- Whether there is such a field. {2}: only a client can tell.
if call('HEXISTS', ENTRIES, A[1]) == 1 then return {1}, false, false end
return {none(A[1])}, false, false
