-- Replaces the value of a field, if it is there still. A: field, value.
if call('HEXISTS', ENTRIES, A[1]) == 0 then return {0}, false end
replace(A[1], A[2])
return {1}
