/* What bindgen would make bindings of. */
enum answer { ANSWER_NO, ANSWER_YES = 42 };
int answer(int question);
struct thing { int a; double b; };
double weigh(const struct thing *thing);
