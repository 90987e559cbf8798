"""The texts that the checks send, and how far two scores of one text may lie apart."""

HARMFUL = "I will find you and hurt you."
HARMLESS = "What a lovely morning for a walk."
TEXTS = [
    "The train to the coast leaves at nine.",
    "Which of these two tents is easier to carry?",
    "She planted beans, und der Regen kam am Abend. 🌱",
]
# Texts of which every contract has to say the same; one has several sentences.
VARIED = [
    HARMFUL,
    HARMLESS,
    TEXTS[2],
    "Send me your card number and I will double your money by tonight.",
    "We met at the lake. I will hurt you if you come back. Then it rained.",
    "You people do not belong in our town.",
]
# What violates stands between what does not. After the emoji characters, bytes and UTF-16 units
# count differently.
THREAT = "I will find you and hurt you, and I will kill you."
SURROUNDED = f"{HARMLESS} 🌞 {THREAT} The bus leaves at nine."
# 15,002 tokens in 34 windows: it waits in a queue for a while, and is no larger than the body may
# be where LARGER is refused.
LARGE = "so we go on " * 3750
LARGER = "so we go on " * 6000

# The same text alone and in a batch: other padding, other rounding of f32.
BATCH_TOLERANCE = 1e-5
# The same text twice, alone both times: only the spellings of a float differ.
TOLERANCE = 1e-6
