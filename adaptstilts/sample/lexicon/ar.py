"""Arabic: the subject first, or verb and subject after a time. Events: past = jussive (after ``lam``) = object."""

from __future__ import annotations

from adaptstilts.sample.grammar import Lexicon, Parts, Phrase, Segments, phrase

CLOSED = (
    "ADP في على إلى قبل عند; DET هذا; PRON من ماذا; PART لم; NUM ثلاثة; ADV أمس; PROPN آنا عمر ماريا بطرس ليلى داود"
    " سارة إيفان"
)

PEOPLE = """
anna: آنا
omar: عمر
maria: ماريا
peter: بطرس
leila: ليلى
david: داود
sara: سارة
ivan: إيفان
teacher: المعلمة
brother: أخي
sister: أختي
doctor: الطبيب
neighbour: جارتنا
boy: الولد
"""

EVENTS = """
buy_book: اشترى|اشترت/VERB = يشتر|تشتر/VERB = كتابا جديدا/ADJ
eat_apple: أكل|أكلت/VERB = يأكل|تأكل/VERB = تفاحة حمراء/ADJ
drink_tea: شرب|شربت/VERB = يشرب|تشرب/VERB = شايا ساخنا/ADJ
write_letter: كتب|كتبت/VERB = يكتب|تكتب/VERB = رسالة طويلة/ADJ
read_newspaper: قرأ|قرأت/VERB = يقرأ|تقرأ/VERB = الجريدة
wash_dishes: غسل|غسلت/VERB = يغسل|تغسل/VERB = الأطباق
cook_soup: طبخ|طبخت/VERB = يطبخ|تطبخ/VERB = حساء الخضار
play_football: لعب|لعبت/VERB = يلعب|تلعب/VERB = كرة القدم
play_guitar: عزف|عزفت/VERB = يعزف|تعزف/VERB = على الغيتار
sing_song: غنى|غنت/VERB = يغن|تغن/VERB = أغنية قديمة/ADJ
lose_keys: فقد|فقدت/VERB = يفقد|تفقد/VERB = المفاتيح
find_wallet: وجد|وجدت/VERB = يجد|تجد/VERB = محفظة سوداء/ADJ
sell_bicycle: باع|باعت/VERB = يبع|تبع/VERB = دراجة قديمة/ADJ
repair_chair: أصلح|أصلحت/VERB = يصلح|تصلح/VERB = كرسيا مكسورا/ADJ
open_window: فتح|فتحت/VERB = يفتح|تفتح/VERB = النافذة
close_door: أغلق|أغلقت/VERB = يغلق|تغلق/VERB = الباب
call_friend: اتصل|اتصلت/VERB = يتصل|تتصل/VERB = بصديق قديم/ADJ
meet_friends: قابل|قابلت/VERB = يقابل|تقابل/VERB = صديقين اثنين/NUM
buy_bread: اشترى|اشترت/VERB = يشتر|تشتر/VERB = خبزا طازجا/ADJ
take_photos: التقط|التقطت/VERB = يلتقط|تلتقط/VERB = صورا كثيرة/ADJ
draw_tree: رسم|رسمت/VERB = يرسم|ترسم/VERB = شجرة كبيرة/ADJ
plant_flowers: زرع|زرعت/VERB = يزرع|تزرع/VERB = أزهارا بيضاء/ADJ
catch_fish: اصطاد|اصطادت/VERB = يصطد|تصطد/VERB = سمكة كبيرة/ADJ
sleep: نام|نامت/VERB = ينم|تنم/VERB = ساعتين
learn_poem: تعلم|تعلمت/VERB = يتعلم|تتعلم/VERB = قصيدة قصيرة/ADJ
tell_story: حكى|حكت/VERB = يحك|تحك/VERB = قصة مضحكة/ADJ
help_man: ساعد|ساعدت/VERB = يساعد|تساعد/VERB = رجلا عجوزا/ADJ
break_cup: كسر|كسرت/VERB = يكسر|تكسر/VERB = فنجانا أزرق/ADJ
clean_floor: نظف|نظفت/VERB = ينظف|تنظف/VERB = الأرضية
feed_cat: أطعم|أطعمت/VERB = يطعم|تطعم/VERB = القطة السوداء/ADJ
count_money: عد|عدت/VERB = يعد|تعد/VERB = النقود
watch_film: شاهد|شاهدت/VERB = يشاهد|تشاهد/VERB = فيلما ممتعا/ADJ
hear_music: استمع|استمعت/VERB = يستمع|تستمع/VERB = إلى الموسيقى
forget_umbrella: نسي|نسيت/VERB = ينس|تنس/VERB = المظلة
carry_boxes: حمل|حملت/VERB = يحمل|تحمل/VERB = ثلاثة صناديق ثقيلة/ADJ
paint_wall: دهن|دهنت/VERB = يدهن|تدهن/VERB = الجدار
cut_lemon: قطع|قطعت/VERB = يقطع|تقطع/VERB = ليمونة صفراء/ADJ
drink_water: شرب|شربت/VERB = يشرب|تشرب/VERB = ماء باردا/ADJ
ask_question: طرح|طرحت/VERB = يطرح|تطرح/VERB = سؤالا صعبا/ADJ
pay_bill: دفع|دفعت/VERB = يدفع|تدفع/VERB = الفاتورة
"""

PLACES = """
market: في السوق
park: في المتنزه
school: في المدرسة
home: في البيت
kitchen: في المطبخ
station: في المحطة
library: في المكتبة
garden: في الحديقة
cafe: في المقهى
office: في المكتب
river: عند النهر
hospital: في المستشفى
"""

TIMES = """
yesterday: أمس
last_week: الأسبوع الماضي/ADJ
monday: يوم الاثنين
saturday: يوم السبت
two_days_ago: قبل يومين
evening: في المساء
morning: هذا الصباح
summer: الصيف الماضي/ADJ
"""

PAIRS = """
rain: هطل المطر طوال الليل. | كانت الشوارع مبللة في الصباح.
alarm: لم يرن المنبه. | استيقظت آنا متأخرة.
ice: انزلق عمر على الجليد. | انكسرت ذراع عمر.
battery: كانت بطارية الهاتف فارغة. | لم تستطع ماريا الاتصال بأحد.
oven: بقيت الكعكة في الفرن وقتا طويلا جدا. | احترقت الكعكة.
salt: كان في الحساء ملح كثير جدا. | لم يرغب أحد في تناول الحساء.
baby: كان الرضيع جائعا. | بدأ الرضيع يبكي.
fuel: نفد البنزين من السيارة. | اضطر السائق إلى المشي إلى محطة الوقود.
snow: تساقطت ثلوج كثيرة في الليل. | صنع الأطفال رجل ثلج.
key: فقدت المرأة مفتاحها. | لم تستطع المرأة دخول شقتها.
ball: ركل الولد الكرة نحو النافذة. | انكسر الزجاج.
sun: استلقت الفتاة في الشمس ساعات. | احمرت بشرتها.
exam: استعد الطالب جيدا للامتحان. | حصل الطالب على أعلى درجة.
tooth: كان بطرس يعاني من ألم شديد في أسنانه. | ذهب بطرس إلى طبيب الأسنان.
dog: جاء رجل غريب إلى البوابة. | نبح الكلب بصوت عال.
cage: كان باب القفص مفتوحا. | طار العصفور بعيدا.
plants: لم يسق أحد النباتات. | جفت الأزهار.
power: انقطعت الكهرباء في المساء. | أشعلت العائلة الشموع.
bus: فاتت الحافلة سارة. | وصلت سارة إلى العمل متأخرة.
thief: سرق لص الدراجة. | اتصل صاحب الدراجة بالشرطة.
birthday: كان عيد ميلاد الجدة. | أحضر الأحفاد الهدايا.
dark: كان المكان مظلما جدا للقراءة. | أضاء داود المصباح.
cold: دخل هواء بارد إلى الغرفة. | أغلقت ليلى النافذة.
fire: كان المنزل يحترق. | وصل رجال الإطفاء بسرعة.
joke: حكت المعلمة نكتة جيدة. | ضحك التلاميذ.
feet: كبرت قدما الولد. | احتاج الولد إلى حذاء أكبر.
tired: كان العامل قد عمل اثنتي عشرة ساعة. | نام العامل على الأريكة.
computer: تعطل الحاسوب فجأة. | فقدت الكاتبة النص كله.
prices: خفض المتجر أسعاره. | جاء زبائن كثيرون.
suitcase: كانت الحقيبة ثقيلة جدا. | طلب المسافر المساعدة.
milk: بقي الحليب في الحر طوال اليوم. | أصبح الحليب حامضا.
bee: لسعت نحلة الطفل. | تورمت يد الطفل.
wind: كانت ريح قوية تهب. | طارت قبعة الرجل.
ducks: رمت الفتاة الخبز في البركة. | سبح البط مقتربا.
bridge: وقع حادث على الجسر. | وقفت السيارات في طابور طويل.
glasses: نسي الرجل العجوز نظارته. | لم يستطع الرجل العجوز قراءة قائمة الطعام.
noise: احتفل الجيران بصخب طوال الليل. | لم يستطع أحد في المبنى النوم.
goal: سجل فريقنا هدفا في الدقيقة الأخيرة. | هتف المشجعون فرحا.
pipe: انفجر أنبوب ماء في الحمام. | استدعى المستأجرون السباك.
pocket: كان في الجيب ثقب. | سقطت القطع النقدية.
ticket: لم تكن لدى الراكب تذكرة. | دفع الراكب غرامة.
drought: لم يهطل المطر لعدة أشهر. | كان محصول المزارع ضعيفا.
rent: أصبح الإيجار باهظا جدا. | انتقل الزوجان إلى شقة أخرى.
lie: كذب الولد على صديقه. | لم يعد الصديق يثق بالولد.
lottery: ربح الشاب اليانصيب. | أصبح الشاب غنيا بين ليلة وضحاها.
knife: جرح الطباخ إصبعه. | وضع الطباخ ضمادة على الجرح.
onions: قطع الجد البصل. | امتلأت عينا الجد بالدموع.
japan: أرادت ماريا العمل في اليابان. | تعلمت ماريا اللغة اليابانية.
film: كان الفيلم حزينا جدا. | بكى كثير من المشاهدين.
internet: لم يكن هناك اتصال بالإنترنت. | تعذر إرسال البريد الإلكتروني.
coffee: شرب الضيف ثلاثة فناجين من القهوة في المساء. | بقي الضيف مستيقظا حتى الفجر.
flour: لم يبق لدى الخباز طحين. | لم يكن هناك خبز طازج في ذلك اليوم.
wallet: ترك الرجل محفظته في البيت. | لم يستطع الرجل الدفع في المطعم.
bench: كان المقعد مطليا حديثا. | كانت على معطف السيدة بقعة.
singer: كانت المغنية تعاني من ألم في الحلق. | ألغيت الحفلة الموسيقية.
fog: كان فوق المطار ضباب كثيف. | أقلعت الطائرة متأخرة ساعتين.
balloon: أفلت الطفل الخيط. | ارتفع البالون إلى السماء.
mouse: رأى الفأر القطة. | هرب الفأر إلى جحره.
candle: نفخت الفتاة على الشمعة. | انطفأت الشعلة.
ice_cream: بقيت المثلجات على الطاولة وقتا طويلا. | ذابت المثلجات.
runner: تدرب العداء كل يوم. | فاز العداء بالسباق.
address: كان العنوان على الظرف خاطئا. | عادت الرسالة إلى المرسل.
lost: ضاع الطفل في الزحام. | بحث الوالدان في كل مكان.
cows: نسي المزارع إغلاق البوابة. | خرجت الأبقار إلى الطريق.
"""


def clause(p: Parts) -> Segments:
    """Return a statement: آنا اشترت كتابا جديدا في السوق أمس.

    With the time first: أمس اشترت آنا كتابا جديدا في السوق.
    """
    verb = phrase("لم/PART") + p.event[1] if p.negative else p.event[0]
    who, when, where = ("who", p.subject[0]), ("when", p.time), ("where", p.place)
    if p.front:
        return [when, ("what", verb), who, ("what", p.event[2]), where]
    return [who, ("what", verb + p.event[2]), where, when]


def question(what: str, p: Parts) -> Phrase:
    """Return a question, such as أين اشترت آنا كتابا جديدا؟."""
    end = phrase("؟")
    if what == "who":
        return phrase("من/PRON") + p.event[0] + p.event[2] + p.place + p.time + end
    if what == "what":
        did = phrase("فعل|فعلت/VERB", "", p.feminine)
        return phrase("ماذا/PRON") + did + p.subject[0] + p.place + p.time + end
    return phrase("أين/ADV" if what == "where" else "متى/ADV") + p.event[0] + p.subject[0] + p.event[2] + end


LEXICON = Lexicon(
    code="ar",
    closed=CLOSED,
    people=PEOPLE,
    events=EVENTS,
    places=PLACES,
    times=TIMES,
    pairs=PAIRS,
    asks=("ما السبب؟", "ماذا حدث نتيجة لذلك؟"),
    clause=clause,
    question=question,
    but="، لكن/CCONJ",
)
