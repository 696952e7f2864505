# Opens a file whose name ends in "(deleted)", and one that has been deleted.
cat 'x (deleted)'
exec 3<>gone
rm gone
cat /dev/fd/3
