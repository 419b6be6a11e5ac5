-- A worker goes. A: its number, '1' if what it holds may have been begun.
bury(K[1], me .. '/' .. A[1], 'left', A[2] == '1')
tidy(K[1])
return {0}
