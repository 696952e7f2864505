# What the tools of a shell do with files, and some of what they fail at.
mkdir -p a/b
mkdir a 2>/dev/null
echo x >a/b/f
cat a/b/f a/../a/./b/f a/none >/dev/null 2>&1
ln -s b a/l
cat a/l/f
mv a/l/f a/g
ln a/g a/h
chmod 600 a/h
touch a/h a/i
rm -r a/b a/h
rmdir a/none 2>/dev/null
cat /proc/self/status >/dev/null
nothing 2>&1
./a/g 2>&1
cp -p a/g a/k
truncate -s 3 a/k
(cd a && cat g k >../both)
true
